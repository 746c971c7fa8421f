"""The options of the contract, each declared once, and the settings built from them.

An option is given on the command line, as a variable ``BULK_SYNC_...``, or in the configuration
file, in this order. A secret is never an option: a variable, or the file that it names.
"""

import difflib
import logging
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import platformdirs

from bulk_sync.errors import UsageProblem
from bulk_sync.settings import (
    AUTO,
    SCOPE,
    Bound,
    Connection,
    Fetch,
    Limits,
    Pace,
    Reading,
    Secret,
)

if TYPE_CHECKING:
    from bulk_sync.runs import Input

F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger(__name__)

CONFIG: Final = "bulk-sync.toml"
_SECRETS: Final = ("access_token", "client_secret")
_PERCENT: Final = "N|P%"


@dataclass
class Invocation:
    """One call of the program, shared by all who handle it.

    Attributes:
        words: the words of the command line, without the program's name.
        wants_json: whether the summary, also that of an error, is to be JSON.
    """

    words: list[str]
    wants_json: bool = False


def _note_json(ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value == "json" and isinstance(ctx.obj, Invocation):
        ctx.obj.wants_json = True
    return value


def variable(name: str) -> str:
    """Tell the variable of an option or secret: ``max-opt-ins`` is ``BULK_SYNC_MAX_OPT_INS``."""
    return f"BULK_SYNC_{name.upper().replace('-', '_')}"


def option(*names: str, **attributes: Any) -> Callable[[F], F]:
    """Declare an option that has its variable too."""
    long = next(name for name in names if name.startswith("--")).removeprefix("--")
    return click.option(*names, envvar=variable(long), **attributes)


def _together(*declared: Callable[[F], F]) -> Callable[[F], F]:
    def declare(function: F) -> F:
        for each in reversed(declared):
            function = each(function)
        return function

    return declare


def _load_config(ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """Take the configuration file's values as defaults of the options."""
    if path is None:
        path = Path(CONFIG)
        if not path.is_file():
            return None
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageProblem(f"{path}: {error}.") from error
    named = {name.replace("-", "_"): value for name, value in values.items()}
    known = _known_options(ctx)
    for name, value in named.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {close[0].replace('_', '-')}?" if close else ""
            raise UsageProblem(f"{path}: there is no option {name.replace('_', '-')!r}.{hint}")
        named[name] = _checked(f"{path}: {name.replace('_', '-')}", value, known[name])
    if named.get("summary") == "json" and isinstance(ctx.obj, Invocation):
        ctx.obj.wants_json = True
    ctx.default_map = {**named, **(ctx.default_map or {})}
    ctx.meta[__name__] = named
    return path


def _known_options(ctx: click.Context) -> dict[str, click.Parameter | None]:
    """Collect the options of all commands, for one file serves them all; secrets are none."""
    known: dict[str, click.Parameter | None] = {}
    for name in _SECRETS:
        known |= {name: None, f"{name}_file": None}
    group = ctx.parent.command if ctx.parent is not None else None
    commands: list[click.Command | None] = [ctx.command]
    if ctx.parent is not None and isinstance(group, click.Group):
        commands = [group.get_command(ctx.parent, name) for name in group.list_commands(ctx.parent)]
    for command in commands:
        for param in command.params if command is not None else ():
            if isinstance(param, click.Option) and param.name not in {None, "config"}:
                known[str(param.name)] = param
    return known


def _checked(place: str, value: object, param: click.Parameter | None) -> object:
    """Turn a value of the file into what the command line would hold, so that it is judged alike.

    Raises:
        UsageProblem: it is of a kind that no command line could hold.
    """
    if isinstance(param, click.Option) and param.is_flag:
        if isinstance(value, bool):
            return value
        raise UsageProblem(f"{place} is on or off: write true or false.")
    if isinstance(param, click.Option) and param.multiple:
        return [str(each) for each in value] if isinstance(value, list) else [str(value)]
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int | float):
        raise UsageProblem(f"{place} takes one value; tables and lists are for nothing here.")
    return str(value)


config = option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    is_eager=True,
    expose_value=False,
    callback=_load_config,
    help=f"TOML file with the same names as these options.  [default: {CONFIG}, if it is there]",
)

logging_options = _together(
    option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Format of the log, on standard error.",
    ),
    option("-v", "--verbose", is_flag=True, help="Log more."),
    option("-q", "--quiet", is_flag=True, help="Log warnings only, and show no progress."),
)

connection_options = _together(
    option(
        "--endpoint",
        default="https://mc.adobe.io",
        show_default=True,
        metavar="URL",
        help="Where Campaign's API is.",
    ),
    option("--organization", metavar="ID", help="The instance's id in the URL.  [required]"),
    option("--api-key", metavar="KEY", help="The OAuth client id.  [required]"),
    option(
        "--ims-endpoint",
        default="https://ims-na1.adobelogin.com",
        show_default=True,
        metavar="URL",
        help="Where tokens are taken from.",
    ),
    option("--scope", default=SCOPE, metavar="LIST", help="OAuth scopes, separated by commas."),
    option(
        "--api",
        default=AUTO,
        show_default=True,
        metavar="NAME",
        help="The API's name in the URL: profileAndServicesExt for custom fields.",
    ),
    option(
        "--attribute",
        default="ccpaOptOut",
        show_default=True,
        metavar="NAME",
        help="The profile attribute that holds the opt-out.",
    ),
    option(
        "--ca-file",
        type=click.Path(path_type=Path),
        help="Certificates of a private CA, PEM.",
    ),
)

input_options = _together(
    option("--key-column", metavar="NAME", help="The column of keys.  [default: PKey]"),
    option(
        "--state-column",
        metavar="NAME",
        help="The column of desired states.  [default: ccpaOptOut, or the attribute's name]",
    ),
    option(
        "--state",
        type=click.Choice(["true", "false"], case_sensitive=False),
        help="The one desired state of a file that holds only keys.",
    ),
    option("--sheet", metavar="NAME", help="The sheet of a workbook.  [default: the first]"),
    option(
        "--blank-state",
        type=click.Choice(["reject", "skip"]),
        default="reject",
        show_default=True,
        help="What an empty state cell means.",
    ),
    option(
        "--on-conflict",
        type=click.Choice(["reject", "opt-out", "last"]),
        default="reject",
        show_default=True,
        help="What becomes of one key with two states; opt-out: true wins.",
    ),
)

reading_options = _together(
    option(
        "--fetch",
        type=click.Choice([str(fetch) for fetch in Fetch]),
        default=str(Fetch.AUTO),
        show_default=True,
        help="Read states one by one, or by paging through the list; auto: by fewer calls.",
    ),
    option(
        "--page-size",
        type=click.IntRange(1, 100_000),
        help="Profiles on a page of a scan.  [default: found by trying]",
    ),
)

pace_options = _together(
    option(
        "--concurrency",
        type=click.IntRange(1, 256),
        help="Requests in flight.  [default: adaptive, at most 64]",
    ),
    option(
        "--rate",
        type=click.FloatRange(0, min_open=True),
        metavar="R",
        help="Most requests a second.  [default: found by adapting]",
    ),
    option(
        "--max-calls", type=click.IntRange(1), help="Stop cleanly when so many calls are spent."
    ),
    option(
        "--retries",
        type=click.IntRange(0),
        default=5,
        show_default=True,
        help="Further tries of a request; a wait that Campaign asks for costs none.",
    ),
    option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=60,
        show_default=True,
        metavar="S",
        help="Seconds for one request.",
    ),
    option(
        "--patience",
        type=click.FloatRange(0, min_open=True),
        default=1800,
        show_default=True,
        metavar="S",
        help="Seconds that one request may take with all its tries and waits.",
    ),
)

limit_options = _together(
    option("--max-changes", metavar=_PERCENT, help="More changes than this: nothing is written."),
    option(
        "--max-opt-ins",
        metavar=_PERCENT,
        help="More opt-ins (true to false) than this: nothing is written.  "
        "[default: 10 or 1%, the larger]",
    ),
    option(
        "--max-failures",
        metavar=_PERCENT,
        help="Give up when more rows than this failed.  [default: 10%, from 100 rows on]",
    ),
)

state_options = option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=lambda: platformdirs.user_state_path("bulk-sync"),
    show_default="the platform's user state folder",
    help="Where the lock of an organization lies.",
)

report_option = option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Where to write the report; .csv .parquet .json .xlsx or .html decides the format. "
    "Can be repeated.",
)

summary_option = option(
    "--summary",
    type=click.Choice(["json"]),
    is_eager=True,
    callback=_note_json,
    help="Print the summary as one JSON object on standard output.",
)

yes_option = option("--yes", is_flag=True, help="Do not ask at a terminal.")


def connection(values: Mapping[str, Any]) -> Connection:
    """Build the connection from parsed options and the environment's secrets.

    Raises:
        UsageProblem: something is missing or cannot work.
    """
    for name in ("organization", "api_key"):
        if not values[name]:
            flag = f"--{name.replace('_', '-')}"
            raise UsageProblem(f"{flag} is missing; give it, or set {variable(name)}.")
    return Connection(
        endpoint=values["endpoint"].rstrip("/"),
        organization=values["organization"],
        api_key=values["api_key"],
        access_token=_secret("access_token"),
        client_secret=_secret("client_secret"),
        ims_endpoint=values["ims_endpoint"].rstrip("/"),
        scope=values["scope"],
        api=values["api"],
        attribute=values["attribute"],
        ca_file=values["ca_file"],
    )


def given_input(source: str, values: Mapping[str, Any]) -> "Input":
    """Build the description of the input from parsed options."""
    from bulk_sync.rows.check import BlankState, OnConflict, Rules
    from bulk_sync.runs import Input

    state = values["state"]
    rules = Rules(
        attribute=values["attribute"],
        key_column=values["key_column"],
        state_column=values["state_column"],
        state=None if state is None else state.lower() == "true",
        blank_state=BlankState(values["blank_state"]),
        on_conflict=OnConflict(values["on_conflict"]),
    )
    return Input(source, values["sheet"], rules)


def pace(values: Mapping[str, Any]) -> Pace:
    """Build the pace from parsed options."""
    return Pace(
        rate=values["rate"],
        concurrency=values["concurrency"],
        max_calls=values["max_calls"],
        retries=values["retries"],
        timeout_s=values["timeout"],
        patience_s=values["patience"],
    )


def reading(values: Mapping[str, Any]) -> Reading:
    """Build the way of reading from parsed options."""
    return Reading(Fetch(values["fetch"]), values["page_size"])


def limits(values: Mapping[str, Any]) -> Limits:
    """Build the limits from parsed options."""

    def bound(name: str) -> Bound | None:
        text = values[name]
        return None if text is None else Bound.parse(str(text), f"--{name.replace('_', '-')}")

    return Limits(bound("max_changes"), bound("max_opt_ins"), bound("max_failures"))


def _secret(name: str) -> Secret | None:
    """Find a secret: the variable, the file that it names, then the same two in the config."""
    configured: Mapping[str, Any] = click.get_current_context().meta.get(__name__, {})
    for values, direct, through in (
        (os.environ, variable(name), variable(f"{name}_file")),
        (configured, name, f"{name}_file"),
    ):
        if value := values.get(direct):
            return Secret(str(value).strip())
        if path := values.get(through):
            try:
                return Secret(Path(str(path)).expanduser().read_text("utf-8").strip())
            except (OSError, UnicodeDecodeError) as error:
                raise UsageProblem(f"{through} {str(path)!r}: {error}.") from error
    return None
