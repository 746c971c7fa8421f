"""What the keys of an input are, and with what a profile is created that none stands for."""

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
"""Filters that every instance has, on every API (manual/campaign-api.md, section 2.2)."""


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
                check_word("--key filter:NAME:PARAM", name)
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
            check_word("--create-column", field)
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
    """Tell what a filter is called in the URL (manual/campaign-api.md, sections 2.3 and 7)."""
    if name in BUILT_IN_FILTERS:
        return name
    has_prefix = re.match(r"by[A-Z]", name) is not None
    if dialect is Dialect.V8:
        return name[2:] if has_prefix else name
    return name if has_prefix else f"by{name[0].upper()}{name[1:]}"
