"""``bulk-sync users``: the accounts of the page."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from bulk_sync.cli import arguments
from bulk_sync.cli.command import CommandGroup
from bulk_sync.cli.options import deployment_options, page_options, run_options
from bulk_sync.cli.options.value_types import person
from bulk_sync.cli.output import laid_out, say, say_json
from bulk_sync.errors import UsageProblem

if TYPE_CHECKING:
    from bulk_sync.web.accounts import Accounts

_NAME: Final = click.Argument(["name"], metavar="NAME", type=person)
_STATE: Final = (*deployment_options.STATE, *run_options.LOGGING)

_EPILOG: Final = """\b
Examples:
  bulk-sync users add 'Ana Diaz' --role uploader
  bulk-sync users add 'Ben Miller' --role approver --password-file ben.txt
  bulk-sync users list
  bulk-sync users password 'Ana Diaz'       ends her sessions too
  bulk-sync users sign-out 'Ana Diaz'       ends her sessions, on every device
  bulk-sync users remove 'Ana Diaz'
"""


@click.group("users", cls=CommandGroup, epilog=_EPILOG)
def command() -> None:
    """Manage the accounts of the page of `bulk-sync serve`."""


@command.command(
    "add", params=[_NAME, page_options.ROLE, page_options.PASSWORD_FILE, *_STATE], epilog=_EPILOG
)
def add(**values: Any) -> None:
    """Add an account. The name stands in the ledger and in reports."""
    with _accounts(values) as accounts:
        accounts.add(values["name"], values["role"], _password(values))
    say(f"Added {values['name']}, {values['role']}.")


@command.command("list", params=[run_options.JSON, *_STATE], epilog=_EPILOG)
def show(**values: Any) -> None:
    """List all accounts."""
    from bulk_sync.ledger import local, utc

    with _accounts(values) as accounts:
        found = accounts.list()
    if values["json"]:
        say_json(
            [{"name": each.name, "role": each.role, "added": utc(each.added_ms)} for each in found]
        )
    elif not found:
        say("There is no account. `bulk-sync users add NAME --role ROLE` adds one.")
    else:
        rows = [[each.name, str(each.role), local(each.added_ms)] for each in found]
        say("\n".join(laid_out(("name", "role", "added"), rows)))


@command.command("remove", params=[_NAME, *_STATE], epilog=_EPILOG)
def remove(**values: Any) -> None:
    """Remove an account, and end its sessions. What the person did stays in the ledger."""
    with _accounts(values) as accounts:
        accounts.remove(values["name"])
    say(f"Removed {values['name']}.")


@command.command("password", params=[_NAME, page_options.PASSWORD_FILE, *_STATE], epilog=_EPILOG)
def password(**values: Any) -> None:
    """Set another password, and end all sessions of the person."""
    with _accounts(values) as accounts:
        accounts.set_password(values["name"], _password(values))
    say(f"The password of {values['name']} is changed, and all sessions have ended.")


@command.command("sign-out", params=[_NAME, *_STATE], epilog=_EPILOG)
def sign_out(**values: Any) -> None:
    """End all sessions of a person, on every device."""
    with _accounts(values) as accounts:
        ended = accounts.sign_out(values["name"])
    say(f"Sessions of {values['name']} that ended: {ended}.")


@contextmanager
def _accounts(values: arguments.Values) -> "Iterator[Accounts]":
    from bulk_sync.web.accounts import Accounts, require_argon2
    from bulk_sync.web.database import open_database

    require_argon2()
    with closing(open_database(arguments.state(values))) as database:
        yield Accounts(database)


def _password(values: arguments.Values) -> str:
    file: TextIO | None = values["password_file"]
    if file is None and not sys.stdin.isatty():
        raise UsageProblem(
            "There is no terminal to ask for the password. Name a file that holds it with "
            "--password-file; - reads it from standard input."
        )
    if file is None:
        typed = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return str(typed)
    try:
        return file.readline().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise UsageProblem(
            f"--password-file {file.name}: this is no text in UTF-8. Save it as one."
        ) from error
