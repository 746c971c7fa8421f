"""How the simulated instance behaves, above all where the documentation contradicts itself.

Pure data. Each enum is a closed set of behaviours for a client to live with; the first member is
the one with the best evidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bulk_sync.simulator.faults import Fault

SINGULAR = "profileAndServices"
PLURAL = "profilesAndServices"


class Dialect(StrEnum):
    """The product whose error bodies and small deviations are shown."""

    STANDARD = "standard"
    V8 = "v8"


class Apis(StrEnum):
    """The spellings of the API's name with a route."""

    BOTH = "both"
    SINGULAR = "singular"
    PLURAL = "plural"

    def routes(self, name: str) -> bool:
        """Return whether there is such an API; ``profileAndServicesExt`` is never in doubt."""
        if name in (PLURAL, f"{PLURAL}Ext"):
            return self is not Apis.SINGULAR
        return name == f"{SINGULAR}Ext" or (name == SINGULAR and self is not Apis.PLURAL)


class GetStyle(StrEnum):
    """The answer to a GET of one profile: the profile, or a list of one."""

    FLAT = "flat"
    CONTENT = "content"


class PatchStyle(StrEnum):
    """The answer to a PATCH: ``{PKey, href}``, or the whole profile."""

    REFERENCE = "reference"
    PROFILE = "profile"


class CountStyle(StrEnum):
    """The number of all profiles in a list: a link, link and number, or nothing."""

    HREF = "href"
    INLINE = "inline"
    NONE = "none"


class NextStyle(StrEnum):
    """How ``next.href`` is written.

    ``relative`` begins with the API's name, as in the documentation's samples; ``rooted`` with the
    organization; ``double-slash`` doubles one in the middle; ``foreign-host`` names a host that
    must not get the token.
    """

    ABSOLUTE = "absolute"
    RELATIVE = "relative"
    ROOTED = "rooted"
    DOUBLE_SLASH = "double-slash"
    FOREIGN_HOST = "foreign-host"


class ErrorStyle(StrEnum):
    """Campaign's own error texts: plain, or wrapped in JSON. The documentation shows neither."""

    TEXT = "text"
    JSON = "json"


class ScanFault(StrEnum):
    """A fault of the list of profiles; a GET of one profile works.

    ``ends-early`` withholds ``next`` halfway, ``loops`` repeats a page from halfway on, ``hides``
    leaves a share of the profiles out of the list and of the count.
    """

    NONE = "none"
    ENDS_EARLY = "ends-early"
    LOOPS = "loops"
    HIDES = "hides"


class ByEmail(StrEnum):
    """The matches of the filter ``byEmail``; its exactness is not documented.

    ``finds-nothing`` is a defect of one build, ``absent`` an API where the filter must be made
    first, ``no-filters`` one without ``byText`` too, ``finds-everybody`` an ignored parameter.
    """

    EXACT = "exact"
    ANY_CASE = "any-case"
    FINDS_NOTHING = "finds-nothing"
    FINDS_EVERYBODY = "finds-everybody"
    ABSENT = "absent"
    NO_FILTERS = "no-filters"


class RetryAfter(StrEnum):
    """The form of ``Retry-After`` in a 429 or 503."""

    SECONDS = "seconds"
    DATE = "date"
    ABSENT = "absent"


@dataclass(frozen=True)
class Options:
    """The behaviour of a simulated instance.

    Attributes:
        organization: the instance's id in the URL.
        api_key: the accepted one.
        access_token: a token that is valid until it is revoked; None for none.
        client_secret: IMS exchanges it for tokens; None switches the exchange off.
        token_life_s: how long an exchanged token is valid.
        profiles: how many to make up.
        profiles_csv: a file to read them from instead.
        seed: decides made-up profiles, cursors and faults.
        attribute: the opt-out's name.
        attribute_apis: the APIs that show it; a custom field is on the ``Ext`` API only.
        custom_key: name of a custom key field, for URLs of the ``Ext`` API.
        next_keeps_force: whether the link to the next page repeats ``_forcePagination=true``.
        scan_hides_share: the share of the profiles that ``hides`` leaves out.
        max_line_count: most profiles on one page, whatever ``_lineCount`` is.
        big_table_threshold: with more profiles than this, ``next`` needs ``_forcePagination``.
        latency_s: delay of every answer.
        rate: requests a second before 429s; None for no limit.
        retry_after_s: the wait in ``Retry-After``.
        hang_s: how long a hanging request takes; None: until the server ends.
        faults: share of the API's requests, 0 to 1, by fault.
        log_requests: whether ``Simulator.requests`` is kept.
    """

    organization: str = "acme"
    api_key: str = "demo-key"
    access_token: str | None = "demo-token"  # noqa: S105 - a made-up default, meant to be known
    client_secret: str | None = None
    token_life_s: float = 86_399
    profiles: int = 0
    profiles_csv: Path | None = None
    seed: int = 1
    dialect: Dialect = Dialect.STANDARD
    apis: Apis = Apis.BOTH
    attribute: str = "ccpaOptOut"
    attribute_apis: tuple[str, ...] = (SINGULAR, PLURAL, f"{SINGULAR}Ext", f"{PLURAL}Ext")
    custom_key: str | None = None
    by_email: ByEmail = ByEmail.EXACT
    get_style: GetStyle = GetStyle.FLAT
    patch_style: PatchStyle = PatchStyle.REFERENCE
    count_style: CountStyle = CountStyle.HREF
    next_style: NextStyle = NextStyle.ABSOLUTE
    next_keeps_force: bool = True
    error_style: ErrorStyle = ErrorStyle.TEXT
    scan_fault: ScanFault = ScanFault.NONE
    scan_hides_share: float = 0.1
    max_line_count: int = 10_000
    big_table_threshold: int = 100_000
    latency_s: float = 0
    rate: float | None = None
    retry_after: RetryAfter = RetryAfter.SECONDS
    retry_after_s: int = 1
    hang_s: float | None = None
    faults: Mapping[Fault, float] = field(default_factory=dict)
    log_requests: bool = True
