"""``bulk-sync simulate``: parse options, serve the simulator, print its URL.

Its variables begin with ``BULK_SYNC_SIMULATE_``. Those of the other commands hold real credentials,
and the simulator would print them.
"""

import logging
import shlex
import sys
from dataclasses import fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import click

from bulk_sync.amounts import count
from bulk_sync.cli.command import Command
from bulk_sync.cli.options.value_types import Choice, Number, Whole
from bulk_sync.errors import UsageProblem
from bulk_sync.settings import check_host
from bulk_sync.simulator import Fault, Options, Simulator, serve_in_foreground
from bulk_sync.simulator.behavior import SINGULAR

_FROM_0: Final = Whole(0)
_FIELDS: Final = {field.name: field for field in fields(Options)}

_EPILOG = """\b
Examples:
  bulk-sync simulate --port 0 --profiles 100000
  bulk-sync simulate --profiles-csv sample_data/profiles.csv --rate 50 --fault reset=0.05
\b
Kinds of faults:
""" + "\n".join(f"  {fault}" for fault in Fault)


def _option(usage: str, text: str, field: str = "", **attributes: Any) -> click.Option:
    """Return an option for a field of the simulator's ``Options``, with its default.

    ``usage`` is how it is typed, such as ``--rate R``; ``field``, if it is called otherwise.
    """
    flag, *metavar = usage.split()
    field = field or flag.removeprefix("--").replace("-", "_")
    default = attributes.pop("default", _FIELDS[field].default if field in _FIELDS else None)
    if isinstance(default, StrEnum):
        attributes["type"], default = Choice(type(default)), str(default)
    if metavar:
        attributes["metavar"] = metavar[0]
    if default is not None and not attributes.get("multiple"):
        attributes |= {"default": default, "show_default": True}
    return click.Option([flag, field], help=text, **attributes)


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
    params=[
        _option("--host", "Address to listen on.", default="127.0.0.1"),
        _option(
            "--port N",
            "Port to listen on; 0 takes a free one.",
            type=Whole(0, 65_535),
            default=8080,
        ),
        _option("--profiles N", "How many profiles to make up.", type=_FROM_0, default=1000),
        _option(
            "--profiles-csv FILE",
            "Read profiles from this file instead: PKey, email, firstName, lastName, ccpaOptOut, "
            "and any other columns.",
            type=click.Path(path_type=Path, dir_okay=False, exists=True),
        ),
        _option("--organization", "The one in the URL."),
        _option("--api-key", "The one accepted."),
        _option("--access-token", "A valid token."),
        _option("--client-secret", "Exchange this, and the API key, for tokens as IMS does."),
        _option(
            "--token-life S",
            "Seconds for which an exchanged token is valid.",
            "token_life_s",
            type=Whole(1),
        ),
        _option("--dialect", "Campaign Standard, or Campaign v8."),
        _option("--apis", "Spellings of profileAndServices that exist."),
        _option("--attribute", "The opt-out's name."),
        _option("--ext-only", "The attribute is a custom field: on Ext only.", is_flag=True),
        _option("--custom-key FIELD", "A custom key that works in URLs on Ext."),
        _option("--by-email", "What the filter byEmail finds."),
        _option("--get-style", "Answer to a GET of one: a profile, or a list of one."),
        _option("--patch-style", "Answer to a PATCH: PKey and href, or the profile."),
        _option("--count-style", "How a list gives the number of profiles."),
        _option("--next-style", "How the link to the next page is written."),
        _option("--error-style", "How Campaign's own errors are sent."),
        _option("--scan-fault", "What is wrong with the list of profiles."),
        _option("--page-cap N", "Most profiles on one page.", "max_line_count", type=Whole(1)),
        _option(
            "--big-table N",
            "With more profiles than this, there is no next page without _forcePagination.",
            "big_table_threshold",
            type=_FROM_0,
        ),
        _option(
            "--latency MS", "Delay of every answer, in milliseconds.", type=Number(0), default=0
        ),
        _option(
            "--rate R",
            "Requests a second before 429s.  [default: no limit]",
            type=Number(0, min_open=True),
        ),
        _option("--retry-after", "How 429s and 503s name the time to come back."),
        _option(
            "--fault KIND=SHARE",
            "Let this share of the requests, 0 to 1, go wrong. Can be repeated.",
            "faults",
            multiple=True,
            callback=_shares,
        ),
        _option("--seed N", "Decides profiles and faults.", type=Whole()),
        _option("--access-log", "Print a line per request on standard error.", is_flag=True),
    ],
    epilog=_EPILOG,
    context_settings={"auto_envvar_prefix": "BULK_SYNC_SIMULATE"},
)
def command(**values: Any) -> None:
    """Serve a local stand-in for the Campaign Standard API.

    The first line on standard output is its URL, printed once it listens. It ends on Ctrl-C or
    SIGTERM. Nothing is stored.
    """
    if values["access_log"]:
        log = logging.getLogger("bulk_sync.simulator")
        log.addHandler(logging.StreamHandler(sys.stderr))
        log.setLevel(logging.INFO)
    options = Options(**{name: value for name, value in values.items() if name in _FIELDS})
    options = replace(options, latency_s=values["latency"] / 1000)
    if values["ext_only"]:
        options = replace(options, attribute_apis=(f"{SINGULAR}Ext",))
    try:
        check_host(values["host"])
        serve_in_foreground(options, values["host"], values["port"], _announce)
    except OSError as error:
        message = f"The simulator cannot start: {error}; --port 0 takes a free port."
        raise UsageProblem(message) from error
    except UnicodeDecodeError as error:
        name = values["profiles_csv"]
        raise UsageProblem(f"{name} is no text in UTF-8. Save it as UTF-8.") from error
    except ValueError as error:
        raise UsageProblem(f"{error}.") from error


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
    click.echo(
        f"A simulator with {count(len(simulator.profiles), 'profile')}. To use it:", err=True
    )
    for name, value in exports.items():
        click.echo(f"  export BULK_SYNC_{name}={shlex.quote(value)}", err=True)
    click.echo(f"Its PKeys and their opt-outs: curl {simulator.url}/_simulator/state", err=True)
