"""``bulk-sync simulate``: parse options, serve the simulator, say where.

Its variables begin with ``BULK_SYNC_SIMULATE_``: those of the other commands hold real credentials,
which must not become the simulator's, to be printed.
"""

import logging
import shlex
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import click

from bulk_sync.cli.command import Command
from bulk_sync.errors import UsageProblem
from bulk_sync.settings import check_host
from bulk_sync.simulator import (
    Apis,
    ByEmail,
    CountStyle,
    Dialect,
    ErrorStyle,
    Fault,
    GetStyle,
    NextStyle,
    Options,
    PatchStyle,
    RetryAfter,
    ScanFault,
    Simulator,
    serve_in_foreground,
)
from bulk_sync.simulator.behavior import SINGULAR

F = TypeVar("F", bound=Callable[..., Any])

_EPILOG = """\b
Examples:
  bulk-sync simulate --port 0 --profiles 100000
  bulk-sync simulate --profiles-csv sample_data/profiles.csv --rate 50 --fault reset=0.05
\b
Kinds of faults:
""" + "\n".join(f"  {fault}" for fault in Fault)


def _styles(flag: str, styles: type[StrEnum], text: str) -> Callable[[F], F]:
    """Declare an option with the values of an enum, the first of which is the default."""
    values = [str(style) for style in styles]
    return click.option(
        flag, type=click.Choice(values), default=values[0], show_default=True, help=text
    )


def _shares(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[Fault, float]:
    shares: dict[Fault, float] = {}
    for text in given:
        kind, _, share = text.partition("=")
        try:
            shares[Fault(kind)] = float(share)
        except ValueError as error:
            raise click.BadParameter(f"{text!r} is not KIND=SHARE: {error}.") from error
    if not 0 <= sum(shares.values()) <= 1 or min(shares.values(), default=0) < 0:
        raise click.BadParameter("shares are 0 to 1, and so is their sum.")
    return shares


@click.command(
    "simulate",
    cls=Command,
    epilog=_EPILOG,
    context_settings={"auto_envvar_prefix": "BULK_SYNC_SIMULATE"},
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--profiles",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    help="How many profiles to make up.",
)
@click.option(
    "--profiles-csv",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Read profiles from this file instead: PKey, email, firstName, lastName, ccpaOptOut, "
    "and any other columns.",
)
@click.option("--organization", default="acme", show_default=True, help="The one in the URL.")
@click.option("--api-key", default="demo-key", show_default=True, help="The one accepted.")
@click.option("--access-token", default="demo-token", show_default=True, help="A valid token.")
@click.option("--client-secret", help="Exchange this, and the API key, for tokens as IMS does.")
@click.option(
    "--token-life",
    type=click.IntRange(1),
    default=86_399,
    show_default=True,
    metavar="S",
    help="Seconds for which an exchanged token is valid.",
)
@_styles("--dialect", Dialect, "Campaign Standard, or Campaign v8.")
@_styles("--apis", Apis, "Spellings of profileAndServices that exist.")
@click.option("--attribute", default="ccpaOptOut", show_default=True, help="The opt-out's name.")
@click.option("--ext-only", is_flag=True, help="The attribute is a custom field: on Ext only.")
@click.option("--custom-key", metavar="FIELD", help="A custom key that works in URLs on Ext.")
@_styles("--by-email", ByEmail, "What the filter byEmail finds.")
@_styles("--get-style", GetStyle, "Answer to a GET of one: a profile, or a list of one.")
@_styles("--patch-style", PatchStyle, "Answer to a PATCH: PKey and href, or the profile.")
@_styles("--count-style", CountStyle, "What a list says of the number of profiles.")
@_styles("--next-style", NextStyle, "How the link to the next page is written.")
@_styles("--error-style", ErrorStyle, "How Campaign's own errors are sent.")
@_styles("--scan-fault", ScanFault, "What is wrong with the list of profiles.")
@click.option(
    "--page-cap",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    help="Most profiles on one page.",
)
@click.option(
    "--big-table",
    type=click.IntRange(0),
    default=100_000,
    show_default=True,
    help="With more profiles than this, there is no next page without _forcePagination.",
)
@click.option(
    "--latency",
    type=click.FloatRange(0),
    default=0,
    show_default=True,
    metavar="MS",
    help="Delay of every answer, in milliseconds.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    metavar="R",
    help="Requests a second before 429s.  [default: no limit]",
)
@_styles("--retry-after", RetryAfter, "How 429s and 503s say when to come back.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND=SHARE",
    callback=_shares,
    help="Let this share of the requests, 0 to 1, go wrong. Can be repeated.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Decides profiles and faults.")
@click.option("--access-log", is_flag=True, help="Print a line per request on standard error.")
def command(**values: Any) -> None:
    """Serve a local stand-in for the Campaign Standard API.

    The first line on standard output is its URL, printed once it listens. It ends on Ctrl-C or
    SIGTERM. Nothing is stored.
    """
    if values["access_log"]:
        log = logging.getLogger("bulk_sync.simulator")
        log.addHandler(logging.StreamHandler(sys.stderr))
        log.setLevel(logging.INFO)
    options = _options(values)
    try:
        check_host(values["host"])
    except ValueError as error:
        raise UsageProblem(f"--host {values['host']!r}: {error}.") from error
    try:
        serve_in_foreground(options, values["host"], values["port"], _announce)
    except OSError as error:
        message = f"The simulator cannot start: {error}; --port 0 takes a free port."
        raise UsageProblem(message) from error
    except ValueError as error:
        raise UsageProblem(str(error)) from error


def _options(values: dict[str, Any]) -> Options:
    extended = (f"{SINGULAR}Ext",)
    return Options(
        organization=values["organization"],
        api_key=values["api_key"],
        access_token=values["access_token"],
        client_secret=values["client_secret"],
        token_life_s=values["token_life"],
        profiles=values["profiles"],
        profiles_csv=values["profiles_csv"],
        seed=values["seed"],
        dialect=Dialect(values["dialect"]),
        apis=Apis(values["apis"]),
        attribute=values["attribute"],
        attribute_apis=extended if values["ext_only"] else Options.attribute_apis,
        custom_key=values["custom_key"],
        by_email=ByEmail(values["by_email"]),
        get_style=GetStyle(values["get_style"]),
        patch_style=PatchStyle(values["patch_style"]),
        count_style=CountStyle(values["count_style"]),
        next_style=NextStyle(values["next_style"]),
        error_style=ErrorStyle(values["error_style"]),
        scan_fault=ScanFault(values["scan_fault"]),
        max_line_count=values["page_cap"],
        big_table_threshold=values["big_table"],
        latency_s=values["latency"] / 1000,
        rate=values["rate"],
        retry_after=RetryAfter(values["retry_after"]),
        faults=values["faults"],
    )


def _announce(simulator: Simulator) -> None:
    options = simulator.options
    click.echo(simulator.url)
    exports = {
        "ENDPOINT": simulator.url,
        "ORGANIZATION": options.organization,
        "API_KEY": options.api_key,
    }
    if options.client_secret is None:
        exports["ACCESS_TOKEN"] = options.access_token or ""
    else:
        exports["IMS_ENDPOINT"] = simulator.url
        exports["CLIENT_SECRET"] = options.client_secret
    click.echo(f"A simulator with {len(simulator.profiles)} profiles. To use it:", err=True)
    for name, value in exports.items():
        click.echo(f"  export BULK_SYNC_{name}={shlex.quote(value)}", err=True)
    click.echo(f"Its PKeys and their opt-outs: curl {simulator.url}/_simulator/state", err=True)
