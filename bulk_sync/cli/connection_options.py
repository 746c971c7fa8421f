"""The options about where Campaign is, and who asks there."""

from functools import partial
from pathlib import Path
from typing import Final

from bulk_sync.cli.filled import FilledPath
from bulk_sync.cli.option import Group, Option, Recorded
from bulk_sync.settings import ATTRIBUTE as CCPA
from bulk_sync.settings import AUTO, SCOPE

_connection = partial(Option, group=Group.CONNECTION)

ATTRIBUTE: Final = _connection(
    "--attribute NAME",
    "The profile attribute that holds the opt-out.",
    recorded=Recorded.FIXED,
    default=CCPA,
)
CA_FILE: Final = _connection(
    "--ca-file FILE", "Certificates of a private CA, PEM.", type=FilledPath(path_type=Path)
)
CONNECTION: Final = (
    _connection(
        "--endpoint URL",
        "Where Campaign's API is.",
        recorded=Recorded.FIXED,
        default="https://mc.adobe.io",
    ),
    _connection(
        "--organization ID",
        "The instance's id in the URL.",
        recorded=Recorded.FIXED,
        show_default="none: required",
    ),
    _connection("--api-key KEY", "The OAuth client id.", show_default="none: required"),
    _connection(
        "--ims-endpoint URL", "Where tokens come from.", default="https://ims-na1.adobelogin.com"
    ),
    _connection(
        "--scope LIST",
        "OAuth scopes, separated by commas.",
        default=SCOPE,
        show_default="what Campaign clients send",
    ),
    _connection(
        "--api NAME",
        "The API's name in the URL: profileAndServicesExt for custom fields.",
        default=AUTO,
    ),
    ATTRIBUTE,
    CA_FILE,
)
LOOKUP: Final = _connection(
    "--lookup",
    "Find the PKeys of an e-mail address in Campaign (GET only), and search the files that held "
    "PKeys alone for them too.",
    recorded=Recorded.NEVER,
)
