"""What the keys and dates of an input are, and the fields of new profiles."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from bulk_sync.errors import UsageProblem
from bulk_sync.settings.connection import AUTO, EXTENDED, Connection, check_word


class KeyKind(StrEnum):
    """What the keys of an input are."""

    PKEY = "pkey"
    EMAIL = "email"
    CUSTOM = "custom"
    FILTER = "filter"


class Dialect(StrEnum):
    """How filters are named: Campaign v8 names custom ones without ``by``."""

    STANDARD = "standard"
    V8 = "v8"


class EmailCase(StrEnum):
    """Whether capitals count before the ``@`` of an address; after it they never do."""

    EXACT = "exact"
    IGNORE = "ignore"


class OnAmbiguous(StrEnum):
    """What to do with a key of several profiles."""

    ALL = "all"
    REJECT = "reject"


class DateOrder(StrEnum):
    """What 3/4/2026 is; real dates of a workbook count as they are then."""

    MONTH_FIRST = "month-first"
    DAY_FIRST = "day-first"


BUILT_IN_FILTERS: Final = frozenset(
    {
        "birthday", "byEmail", "byKeysProfile", "byText", "byStaticAudience", "hasClickedDelivery",
        "hasOpenedDelivery", "hasReceivedDelivery", "profile", "subscribers",
    }
)  # fmt: skip
"""Filters of every instance and every API (manual/campaign-api.md, section 2.2)."""

_FILLED_BY_CAMPAIGN: Final = frozenset(
    {"PKey", "href", "email", "cryptedId", "created", "lastModified", "age"}
)
"""Fields that Campaign fills in, and the address, which is the key."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What the keys of an input are, and how profiles are found by them.

    Attributes:
        filter: the name of the filter in the URL, for ``FILTER``.
        param: the name of its parameter.
        field: the column of the keys, often called like the profile's field.
        key_field: the profile's field of the key, if it has another name.
        email_case: whether capitals count before the ``@``.
        on_ambiguous: what to do with a key of several profiles. None: change all of them for an
            opt-out, since it is the person's; reject an opt-in.
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
        """Parse ``pkey``, ``email``, ``custom``, ``filter:NAME:PARAM``; else raise UsageProblem."""
        word, *names = text.strip().split(":")
        if word.lower() == KeyKind.FILTER and len(names) == 2 and all(names):
            for name in names:
                check_word("--key filter:NAME:PARAM", name)
            return cls(KeyKind.FILTER, _filter_name(names[0], dialect), names[1])
        if word.lower() in set(KeyKind) - {KeyKind.FILTER} and not names:
            return cls(KeyKind(word.lower()))
        raise UsageProblem(
            f"--key {text!r}: write pkey, email, custom or filter:NAME:PARAM, such as "
            "filter:byExternalId:externalId_parameter."
        )

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "Keys":
        """Build them from options by name; raise UsageProblem if ``--key`` is wrong."""
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
        """Return the text for ``parse``."""
        names = (self.filter, self.param) if self.kind is KeyKind.FILTER else ()
        return ":".join((self.kind, *names))

    @property
    def needs_extended(self) -> bool:
        """Return whether only the API for extended resources knows such keys."""
        is_own_filter = self.kind is KeyKind.FILTER and self.filter not in BUILT_IN_FILTERS
        return self.kind is KeyKind.CUSTOM or is_own_filter


@dataclass(frozen=True, slots=True)
class Creating:
    """The fields of a profile created for an unknown address, beside name and address.

    Attributes:
        fields: their names, each with the name of its column.
    """

    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str], attribute: str) -> "Creating":
        """Parse ``FIELD`` and ``FIELD=COLUMN``; raise UsageProblem if a field cannot be given."""
        fields: dict[str, str] = {}
        for text in texts:
            field, _, column = text.partition("=")
            check_word("--create-column", field)
            if field in fields:
                raise UsageProblem(f"--create-column {field} is given twice.")
            if field in (*_FILLED_BY_CAMPAIGN, attribute):
                raise UsageProblem(
                    f"--create-column {field}: Campaign or bulk-sync fills in that field."
                )
            fields[field] = column or field
        return cls(tuple(fields.items()))


def reached(connection: Connection, keys: Keys) -> Connection:
    """Choose the API that knows such keys; raise UsageProblem if the chosen one does not."""
    if not keys.needs_extended or connection.api.endswith("Ext"):
        return connection
    if connection.api != AUTO:
        raise UsageProblem(
            f"--key {keys}: {connection.api} knows no custom keys and filters. Give --api "
            f"{EXTENDED}, or leave --api out."
        )
    return replace(connection, api=EXTENDED)


def _filter_name(name: str, dialect: Dialect) -> str:
    """Return the name of a filter in the URL (manual/campaign-api.md, sections 2.3 and 7)."""
    if name in BUILT_IN_FILTERS:
        return name
    has_prefix = re.match(r"by[A-Z]", name) is not None
    if dialect is Dialect.V8:
        return name[2:] if has_prefix else name
    return name if has_prefix else f"by{name[0].upper()}{name[1:]}"
