"""``bulk-sync serve``: the page for the compliance team."""

import sys
from contextlib import closing
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

import click

from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command
from bulk_sync.cli.options import deployment_options, run_options
from bulk_sync.cli.options.config import Configuration
from bulk_sync.cli.options.config_file import JOBS
from bulk_sync.cli.options.option import Option, variable
from bulk_sync.cli.output import say
from bulk_sync.errors import UsageProblem

if TYPE_CHECKING:
    from bulk_sync.web.settings import PageSettings, TrustedProxy

_APPROVALS: Final = 1
"""Unlike on the command line, the page asks for another person unless told otherwise."""
_KEEP_DAYS: Final = 800
_PASSED_ON: Final[tuple[Option, ...]] = (*deployment_options.CONNECTION, *deployment_options.STATE)
"""What the processes of the page are given, as variables: arguments can be seen by others."""


@Command.declare(
    "serve",
    *run_options.PAGE,
    run_options.APPROVALS,
    run_options.PLAN_VALID,
    run_options.KEEP,
    *deployment_options.CONNECTION,
    *deployment_options.STATE,
    *run_options.LOGGING,
    examples="""
  bulk-sync serve                                    for one person, on this machine
  bulk-sync users add 'Ana Diaz' --role uploader     for several people
  bulk-sync serve --host 0.0.0.0 --tls-cert page.pem --tls-key page.key
  bulk-sync serve --behind-proxy --public-host optouts.example.com
""",
    context_settings={"default_map": {run_options.APPROVALS.key: _APPROVALS}},
)
def command(**values: Any) -> None:
    """Serve a page to upload spreadsheets, compare, approve, apply and file.

    Prints one line, its URL. Without any account (`bulk-sync users add`) the URL signs in once, as
    one person with every role. It ends on Ctrl-C or SIGTERM; runs that it has started go on.
    """
    import asyncio

    from bulk_sync.web.accounts import require_argon2

    require_argon2()
    from bulk_sync.web.app import serve

    settings = _settings(values)
    _check(settings)

    def announce(url: str) -> None:
        say(url)
        sys.stdout.flush()
        if values["open"] or (values["open"] is None and sys.stdout.isatty()):
            import webbrowser

            # One in the terminal, such as w3m, holds its caller up until a person leaves it.
            Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    asyncio.run(serve(settings, announce))


def _settings(values: arguments.Values) -> "PageSettings":
    from bulk_sync.web.settings import PageSettings

    given = arguments.given_now(values)
    variables = {
        variable(each.key): str(given[each.key]) for each in _PASSED_ON if each.key in given
    }
    configuration = Configuration.current(click.get_current_context())
    if configuration.path is not None:
        variables[variable("config")] = str(configuration.path.absolute())
    state = arguments.state(values)
    variables[variable("state-dir")] = str(state.folder.absolute())
    return PageSettings(
        state=state,
        host=values["host"],
        port=values["port"],
        tls_cert=values["tls_cert"],
        tls_key=values["tls_key"],
        proxy=_proxy(values),
        approvals=_approvals(given.get("approvals", _APPROVALS), configuration),
        approval_valid_s=values["approval_valid"],
        plan_valid_s=values["plan_valid"],
        max_upload=values["max_upload"],
        keep_days=_KEEP_DAYS if values["keep"] is None else values["keep"],
        variables=variables,
    )


def _approvals(given: int, configuration: Configuration) -> int:
    """Return how many approvals each plan needs; raise UsageProblem if a job is to have more."""
    option = run_options.APPROVALS
    for job, table in configuration.jobs.items():
        of_job = option.type.convert(table.get(option.key, 0), option, None)
        if of_job > given:
            raise UsageProblem(
                f"{configuration.path}, [{JOBS}.{job}]: approvals = {of_job}, but each plan of the "
                f"page needs {given}. Give --approvals {of_job}, which holds for all jobs."
            )
    return given


def _proxy(values: arguments.Values) -> "TrustedProxy":
    from bulk_sync.web.settings import TrustedProxy

    if bool(values["tls_cert"]) != bool(values["tls_key"]):
        raise UsageProblem("--tls-cert and --tls-key go together: give both, or neither.")
    if bool(values["user_header"]) != bool(values["trusted_proxy"]) and not values["behind_proxy"]:
        raise UsageProblem(
            "--user-header needs --trusted-proxy, the addresses from which it is accepted, and "
            "--trusted-proxy needs --user-header or --behind-proxy."
        )
    if values["user_header"] and not values["trusted_proxy"]:
        raise UsageProblem("--user-header needs --trusted-proxy: else anybody could send it.")
    if values["role_header"] and not values["user_header"]:
        raise UsageProblem("--role-header needs --user-header.")
    return TrustedProxy(
        is_there=values["behind_proxy"],
        trusted=values["trusted_proxy"],
        user_header=values["user_header"] or "",
        role_header=values["role_header"] or "",
        hosts=values["public_host"],
    )


def _check(settings: "PageSettings") -> None:
    """Raise UsageProblem if people on other machines could use the page unprotected."""
    if settings.is_local:
        return
    if not settings.is_secure:
        raise UsageProblem(
            f"--host {settings.host} is reached from other machines: passwords and keys would pass "
            "unencrypted. Give --tls-cert and --tls-key, or --behind-proxy if a reverse proxy in "
            "front of the page speaks TLS."
        )
    from bulk_sync.web.accounts import Accounts
    from bulk_sync.web.database import open_database

    with closing(open_database(settings.state)) as database:
        if not settings.proxy.user_header and not Accounts(database).are_there():
            raise UsageProblem(
                f"--host {settings.host} is reached from other machines, and there is no account. "
                "Add people with `bulk-sync users add NAME --role ROLE`, or give --trusted-proxy "
                "and --user-header if a reverse proxy signs people in."
            )
