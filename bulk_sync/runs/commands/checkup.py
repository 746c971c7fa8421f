"""Tests credentials, endpoint, attribute and access with a handful of reads."""

from dataclasses import dataclass, replace

from bulk_sync.campaign import profiles
from bulk_sync.engines.session import Session
from bulk_sync.errors import BudgetSpent, Exit, RowFailed, StoppedEarly, StopRun
from bulk_sync.settings import Connection, Pace

_SAMPLE = 25
_PATIENCE_S = 30.0
"""Seconds that a person is kept waiting for a server that cannot be reached, at most."""


_UNREACHABLE = (
    "If it should be reachable from here, check --endpoint and --ims-endpoint, and the proxy of "
    "this machine (the variables HTTPS_PROXY and NO_PROXY)."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One test; ``exit`` is the exit status of a run if it is not good."""

    good: bool
    text: str
    exit: Exit = Exit.DONE


def check(connection: Connection, pace: Pace) -> list[Finding]:
    """Test what a run needs, with four calls at the most, and stop at the first fault."""
    findings: list[Finding] = []
    pace = replace(pace, patience_s=min(pace.patience_s, _PATIENCE_S))
    with Session(connection, pace, lambda *_: None) as session:
        try:
            session.run(_look(session, connection, findings))
        except (StopRun, RowFailed) as error:  # an answer that was cut short says nothing
            findings.append(_fault(session.cause or error, is_first=not findings))
    return findings


def _fault(error: StopRun | RowFailed, *, is_first: bool) -> Finding:
    if isinstance(error, RowFailed):
        return Finding(good=False, text=error.detail, exit=Exit.STOPPED_EARLY)
    is_away = isinstance(error, StoppedEarly) and not isinstance(error, BudgetSpent)
    text = f"{error} {_UNREACHABLE}" if is_away and is_first else str(error)
    return Finding(good=False, text=text, exit=error.exit)


async def _look(session: Session, connection: Connection, findings: list[Finding]) -> None:
    client = session.client

    def good(text: str) -> None:
        findings.append(Finding(good=True, text=text))
        if session.cause is not None:
            raise session.cause

    page = await client.preflight(_SAMPLE)
    good(f"Credentials are accepted at {connection.endpoint}.")
    good(f"Organization {connection.organization} answers as {client.api}.")
    total = await client.count(page)
    good(f"Profiles to be seen: {'unknown' if total is None else f'{total:,}'}.")
    sample = page.profiles
    if not sample:
        hint = "Has this technical account the rights to see any (organizational units)?"
        text = f"No profile is to be seen. {hint}"
        findings.append(Finding(good=False, text=text, exit=Exit.USAGE))
        return
    attribute = connection.attribute
    known = sum(profiles.state(each, attribute) is not None for each in sample)
    if not known:
        text = _no_attribute(attribute, sample)
        findings.append(Finding(good=False, text=text, exit=Exit.USAGE))
        return
    good(f"{known} of {len(sample)} sample profiles have a value for {attribute}.")
    key = next((each["PKey"] for each in sample if isinstance(each.get("PKey"), str)), None)
    if isinstance(key, str):
        await client.profile(key)
        good("One profile can be read by its PKey.")


def _no_attribute(attribute: str, sample: list[profiles.Profile]) -> str:
    names = sorted({name for each in sample for name in each})
    close = [name for name in names if "opt" in name.lower()] or names
    return (
        f"None of {len(sample)} sample profiles has a value for {attribute!r}. Look at --attribute "
        f"and --api (custom fields need profileAndServicesExt). Attributes there: "
        f"{', '.join(close[:20])}."
    )
