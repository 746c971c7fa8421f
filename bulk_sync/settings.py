"""What a run was asked to do: frozen, built once at the edge, validated on the way in.

Each part goes to the one room that uses it. Nothing here reads the environment or a file.
"""

import ipaddress
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bulk_sync.errors import UsageProblem

PLURAL: Final = "profilesAndServices"
"""The spelling of the page on the CCPA opt-out, and of no other."""

SINGULAR: Final = "profileAndServices"
EXTENDED: Final = "profileAndServicesExt"
AUTO: Final = "auto"

ATTRIBUTE: Final = "ccpaOptOut"
"""The attribute that profiles have of themselves; any other one is a custom field."""

SCOPE: Final = (
    "openid,AdobeID,campaign_sdk,additional_info.projectedProductContext,"
    "campaign_config_server_general,deliverability_service_general"
)
"""What Campaign clients send; Adobe documents no list (campaign-api.md, section 5)."""


def is_sendable(value: str) -> bool:
    """Tell whether an HTTP header can carry a value: visible ASCII characters alone."""
    return bool(value) and all(" " < char <= "~" for char in value)


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that does not print itself."""

    value: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what no HTTP header can carry."""
        if not is_sendable(self.value):
            raise UsageProblem(
                "A token or secret is empty, or holds blanks, line breaks or non-ASCII characters. "
                "Copy it again, without quotes."
            )

    def __str__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Campaign is and who asks.

    Attributes:
        endpoint: base URL, without a slash at its end.
        organization: the instance's id in the URL.
        api_key: the OAuth client id.
        access_token: a ready token, or None.
        client_secret: exchanged for tokens at ``ims_endpoint``, or None.
        ims_endpoint: base URL of IMS.
        scope: comma-separated OAuth scopes.
        api: the API's name in the URL, or ``auto``.
        attribute: the profile attribute that holds the opt-out.
        ca_file: certificates of a private CA, PEM.
    """

    endpoint: str
    organization: str
    api_key: str
    access_token: Secret | None = None
    client_secret: Secret | None = None
    ims_endpoint: str = "https://ims-na1.adobelogin.com"
    scope: str = SCOPE
    api: str = AUTO
    attribute: str = ATTRIBUTE
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        """Say at once what cannot work."""
        _check_url("--endpoint", self.endpoint)
        _check_url("--ims-endpoint", self.ims_endpoint)
        _check_word("--organization", self.organization)
        _check_word("--api", self.api)
        _check_word("--attribute", self.attribute)
        Secret(self.api_key)
        if self.access_token is None and self.client_secret is None:
            raise UsageProblem(
                "No credentials. Set BULK_SYNC_CLIENT_SECRET (exchanged for tokens) or "
                "BULK_SYNC_ACCESS_TOKEN (a ready token), or name a file that holds it in the same "
                "variable with _FILE appended."
            )
        if self.ca_file is not None and not self.ca_file.is_file():
            raise UsageProblem(f"--ca-file {self.ca_file}: no such file.")


_RATE_OF_ONE: Final = 100.0
"""Requests a second that are worth a process, and of which one more or less in a second, which
comes of parting a rate, does not matter."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard Campaign may be asked.

    Attributes:
        rate: most requests a second over everything the run does; None adapts.
        concurrency: requests in flight; None adapts, up to 64, or to as many as ``rate`` needs.
        max_calls: most calls of this run; None has no limit.
        max_calls_per_day: most calls that all runs may make on a day of UTC; None has no limit.
        retries: further tries after a first one that failed in passing.
        timeout_s: seconds for one request, answer included.
        patience_s: seconds that one request may take with all its tries and waits.
        processes: event loops, each in a process of its own, that may share the work.
        most_in_flight: requests in flight, at most, while that adapts.
    """

    rate: float | None = None
    concurrency: int | None = None
    max_calls: int | None = None
    max_calls_per_day: int | None = None
    retries: int = 5
    timeout_s: float = 60.0
    patience_s: float = 1800.0
    processes: int = 1
    most_in_flight: int = 64

    def __post_init__(self) -> None:
        """Refuse what is no measure of time."""
        for option, value in (
            ("--rate", self.rate),
            ("--timeout", self.timeout_s),
            ("--patience", self.patience_s),
        ):
            if value is not None and not math.isfinite(value):
                raise UsageProblem(f"{option} {value}: write a number.")

    @property
    def parts(self) -> int:
        """How many processes the work is parted among: none would have next to nothing to do."""
        by_rate = self.processes if self.rate is None else int(self.rate / _RATE_OF_ONE)
        return max(1, min(self.processes, by_rate, self.concurrency or self.processes))

    def part(self) -> "Pace":
        """Tell the pace of one of ``parts`` processes; their calls are counted elsewhere."""
        parts = self.parts
        return replace(
            self,
            rate=None if self.rate is None else self.rate / parts,
            concurrency=None if self.concurrency is None else self.concurrency // parts,
            most_in_flight=self.most_in_flight // parts,
            max_calls=None,
            max_calls_per_day=None,
            processes=1,
        )


class Fetch(StrEnum):
    """How current states are read."""

    AUTO = "auto"
    LOOKUP = "lookup"
    SCAN = "scan"


class KeyKind(StrEnum):
    """What the keys of an input are."""

    PKEY = "pkey"
    EMAIL = "email"
    CUSTOM = "custom"
    FILTER = "filter"


class Dialect(StrEnum):
    """Whose names of filters are used: Campaign v8 knows custom ones without ``by``."""

    STANDARD = "standard"
    V8 = "v8"


class EmailCase(StrEnum):
    """Whether capitals count before the ``@`` of an address; after it they never do."""

    EXACT = "exact"
    IGNORE = "ignore"


class OnAmbiguous(StrEnum):
    """What becomes of a key that stands for several profiles."""

    ALL = "all"
    REJECT = "reject"


BUILT_IN_FILTERS: Final = frozenset(
    {
        "birthday", "byEmail", "byKeysProfile", "byText", "byStaticAudience", "hasClickedDelivery",
        "hasOpenedDelivery", "hasReceivedDelivery", "profile", "subscribers",
    }
)  # fmt: skip
"""Filters that every instance has, on every API (campaign-api.md, section 2.2)."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What the keys of an input are, and how profiles are found by them.

    Attributes:
        kind: what they are.
        filter: the name of the filter, as Campaign has it in the URL; for ``FILTER`` alone.
        param: the name of its parameter.
        field: the column that the keys stand in, which may be called like the profile's field.
        key_field: the profile's field that shows the key, if it is called otherwise.
        email_case: whether capitals count before the ``@``.
        on_ambiguous: what becomes of a key that stands for several profiles; None takes all of them
            for an opt-out, which is the person's, and none for an opt-in.
    """

    kind: KeyKind = KeyKind.PKEY
    filter: str = ""
    param: str = ""
    field: str = ""
    key_field: str = ""
    email_case: EmailCase = EmailCase.EXACT
    on_ambiguous: OnAmbiguous | None = None

    @classmethod
    def parse(cls, text: str, dialect: Dialect = Dialect.STANDARD) -> "Keys":
        """Read ``pkey``, ``email``, ``custom`` or ``filter:NAME:PARAM``.

        Raises:
            UsageProblem: it is none of them.
        """
        word, *names = text.strip().split(":")
        if word.lower() == KeyKind.FILTER and len(names) == 2 and all(names):
            for name in names:
                _check_word("--key filter:NAME:PARAM", name)
            return cls(KeyKind.FILTER, _called(names[0], dialect), names[1])
        if word.lower() in set(KeyKind) - {KeyKind.FILTER} and not names:
            return cls(KeyKind(word.lower()))
        raise UsageProblem(
            f"--key {text!r}: write pkey, email, custom or filter:NAME:PARAM, such as "
            "filter:byExternalId:externalId_parameter."
        )

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Keys":
        """Read the options about keys, by their names, as they were given or recorded.

        Raises:
            UsageProblem: ``--key`` says something else.
        """
        key, ambiguous = options.get("key"), options.get("on_ambiguous")
        dialect = Dialect(options.get("dialect") or Dialect.STANDARD)
        return replace(
            cls() if key is None else cls.parse(key, dialect),
            field=options.get("key_column") or "",
            key_field=options.get("key_field") or "",
            email_case=EmailCase(options.get("email_case") or EmailCase.EXACT),
            on_ambiguous=None if ambiguous is None else OnAmbiguous(ambiguous),
        )

    def __str__(self) -> str:
        """Write them as ``parse`` reads them."""
        names = (self.filter, self.param) if self.kind is KeyKind.FILTER else ()
        return ":".join((self.kind, *names))

    @property
    def needs_extended(self) -> bool:
        """Whether only the API for extended resources knows such keys."""
        is_own_filter = self.kind is KeyKind.FILTER and self.filter not in BUILT_IN_FILTERS
        return self.kind is KeyKind.CUSTOM or is_own_filter


_NOT_GIVEN: Final = frozenset(
    {"PKey", "href", "email", "cryptedId", "created", "lastModified", "age"}
)
"""Fields that Campaign fills in, and the address, which is the key."""


@dataclass(frozen=True, slots=True)
class Creating:
    """With what a profile is created whose address is not found.

    Attributes:
        fields: names of fields, and of the columns that hold them, beside name and address.
    """

    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str], attribute: str) -> "Creating":
        """Read ``FIELD`` and ``FIELD=COLUMN``, beside the attribute that holds the state.

        Raises:
            UsageProblem: a field has no name that Campaign could know, or is given twice.
        """
        fields: dict[str, str] = {}
        for text in texts:
            field, _, column = text.partition("=")
            _check_word("--create-column", field)
            if field in fields:
                raise UsageProblem(f"--create-column {field} is given twice.")
            if field in (*_NOT_GIVEN, attribute):
                raise UsageProblem(
                    f"--create-column {field}: a profile is not created with that field of a file."
                )
            fields[field] = column or field
        return cls(tuple(fields.items()))


def reached(there: Connection, keys: Keys) -> Connection:
    """Choose the API that knows such keys.

    Raises:
        UsageProblem: the one asked for does not.
    """
    if not keys.needs_extended or there.api.endswith("Ext"):
        return there
    if there.api != AUTO:
        raise UsageProblem(
            f"--key {keys}: {there.api} knows no custom keys and filters. Give --api {EXTENDED}, "
            "or leave --api out."
        )
    return replace(there, api=EXTENDED)


def _called(name: str, dialect: Dialect) -> str:
    """Tell what a filter is called in the URL (campaign-api.md, sections 2.3 and 7)."""
    if name in BUILT_IN_FILTERS:
        return name
    has_prefix = re.match(r"by[A-Z]", name) is not None
    if dialect is Dialect.V8:
        return name[2:] if has_prefix else name
    return name if has_prefix else f"by{name[0].upper()}{name[1:]}"


@dataclass(frozen=True, slots=True)
class Reading:
    """How current states are read.

    Attributes:
        fetch: the strategy.
        page_size: ``_lineCount`` of a scan; None finds it by trying.
        tries_keys: give up when none of a few keys, tried before all others, can be one of this
            instance.
    """

    fetch: Fetch = Fetch.AUTO
    page_size: int | None = None
    tries_keys: bool = False


@dataclass(frozen=True, slots=True)
class Writing:
    """How states are written.

    Attributes:
        verify: read every changed profile back, and count only what is stored.
        guarded: read every profile again before it is written, and leave it alone if it moved.
    """

    verify: bool = False
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Where the program keeps what it must remember.

    Attributes:
        folder: runs, locks and, by default, the ledger.
        ledger: an SQLAlchemy URL, which may hold a password; None is a file in ``folder``.
        lock_wait_s: how long to wait for another run to end.
    """

    folder: Path
    ledger: str | None = field(default=None, repr=False)
    lock_wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Bound:
    """A number of rows, or a share of those that the input holds."""

    count: int | None = None
    percent: Fraction | None = None

    @classmethod
    def parse(cls, text: str, option: str) -> "Bound":
        """Read ``N`` or ``P%``.

        Raises:
            UsageProblem: neither a whole number nor a percentage from 0 to 100.
        """
        if match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text, re.ASCII):
            percent = Fraction(match[1])
            if percent <= 100:
                return cls(percent=percent)
        elif match := re.fullmatch(r"\s*(\d+)\s*", text, re.ASCII):
            return cls(count=int(match[1]))
        raise UsageProblem(f"{option} {text!r}: write a whole number, or a share such as 2%.")

    def of(self, rows: int) -> int:
        """Tell the most rows that pass, out of so many."""
        return self.count if self.count is not None else int(rows * (self.percent or 0) / 100)

    def __str__(self) -> str:
        return f"{float(self.percent or 0):g}%" if self.count is None else str(self.count)


class Oddity(StrEnum):
    """What makes a whole input suspicious, and the word that lets it pass once."""

    FEWER_ROWS = "fewer-rows"
    UNKNOWN_KEYS = "unknown-keys"
    INVERTED = "inverted"


@dataclass(frozen=True, slots=True)
class Failures:
    """When to give up.

    Attributes:
        most: when more rows than this failed; None never does.
        alike: when so many of the last ``window`` rows failed for one reason; None never does.
        window: how many rows to look back.
    """

    most: int | None = None
    alike: int | None = 180
    window: int = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """What stops a run that looks like a mistake; None takes the default of the contract.

    Attributes:
        max_changes: most changes.
        max_opt_ins: most changes from true to false.
        max_failures: most rows that may fail.
        max_creates: most profiles that may be created; None has no limit.
        allowed: what would be suspicious, and may pass all the same.
    """

    max_changes: Bound | None = None
    max_opt_ins: Bound | None = None
    max_failures: Bound | None = None
    max_creates: Bound | None = None
    allowed: frozenset[Oddity] = frozenset()

    def opt_ins(self, rows: int) -> int:
        """Tell the most opt-ins that pass: by default 10 or 1 %, the larger."""
        bound = self.max_opt_ins
        return max(10, rows // 100) if bound is None else bound.of(rows)

    def failures(self, rows: int) -> Failures:
        """Tell after how many failures to give up: by default 10 %, from 100 rows on."""
        if self.max_failures is None:
            return Failures(most=rows // 10 if rows >= 100 else None)
        most = self.max_failures.of(rows)
        return Failures(most, alike=None if most >= rows else Failures().alike)


def _check_url(option: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # which is read, and may turn out to be none, only here
    except ValueError as error:
        raise UsageProblem(f"{option} {url!r} is no URL: {error}.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageProblem(f"{option} {url!r} is no URL; write it like https://mc.adobe.io.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageProblem(f"{option} must hold scheme, host and path alone.")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise UsageProblem(
            f"{option} {url!r} would send the credentials unencrypted. Use https; plain http is "
            "for a simulator on this machine."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _check_word(option: str, value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-]", value):
        raise UsageProblem(
            f"{option} {value!r}: letters, digits, '_', '-' and '.' only; it becomes a part of the "
            "URL or of the request."
        )
