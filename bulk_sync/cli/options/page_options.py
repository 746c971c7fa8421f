"""The options of ``serve`` and ``users``: who reaches the page, and how people sign in."""

from functools import partial
from typing import Final

import click

from bulk_sync.cli.options.option import Group, Option, Recorded
from bulk_sync.cli.options.value_types import (
    FILE,
    Choice,
    Whole,
    address,
    header_name,
    host_name,
    network,
    size,
    validity,
)
from bulk_sync.web.identity import Role

_page = partial(Option, group=Group.PAGE, recorded=Recorded.NEVER)

PAGE: Final = (
    _page("--host ADDRESS", "Address to listen on.", type=address, default="127.0.0.1"),
    _page("--port N", "Port to listen on; 0: a free one.", type=Whole(0, 65_535), default=8710),
    _page(
        "--open/--no-open",
        "Open the page in a browser.",
        type=bool,
        default=None,
        show_default="at a terminal",
    ),
    _page(
        "--tls-cert FILE",
        "Certificates of the page, PEM. Another address than this machine's own needs them, or "
        "--behind-proxy.",
        type=FILE,
    ),
    _page("--tls-key FILE", "The key of --tls-cert, PEM.", type=FILE),
    _page("--behind-proxy", "A reverse proxy in front of the page speaks TLS with the browsers."),
    _page(
        "--public-host NAME ...",
        "A name of the page in the address line of browsers, such as optouts.example.com.",
        type=host_name,
    ),
    _page(
        "--trusted-proxy CIDR ...",
        "Addresses of reverse proxies: their headers are accepted, from nowhere else.",
        type=network,
    ),
    _page(
        "--user-header NAME",
        "The header in which a trusted proxy names the person who has signed in.",
        type=header_name,
    ),
    _page(
        "--role-header NAME",
        "The header in which it names their roles, separated by commas.",
        type=header_name,
        show_default="the role of the account of that name, else viewer",
    ),
    _page(
        "--approval-valid DURATION", "How long an approval counts.", type=validity, default="24h"
    ),
    _page("--max-upload SIZE", "The largest file to upload.", type=size(), default="200MB"),
)
ROLE: Final = _page(
    "--role",
    "What the person may do: a viewer reads; an uploader uploads and asks for approval; an "
    "approver approves; an admin may do all of it, and raise limits.",
    type=Choice(Role),
    required=True,
)
PASSWORD_FILE: Final = _page(
    "--password-file FILE",
    "Read the password from the first line of this file; - is standard input.",
    type=click.File(encoding="utf-8-sig", lazy=True),
    show_default="asked for at the terminal",
)
