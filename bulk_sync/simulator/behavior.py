"""How the simulated instance behaves, above all where the documentation contradicts itself.

Pure data. Each enum is a closed set of behaviours that a client has to live with; the first
member of each is what the evidence speaks for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bulk_sync.simulator.faults import Fault

SINGULAR = "profileAndServices"
PLURAL = "profilesAndServices"


class Dialect(StrEnum):
    """Whose error bodies and small deviations are shown."""

    STANDARD = "standard"
    V8 = "v8"


class Apis(StrEnum):
    """Which spellings of the API's name are routed."""

    BOTH = "both"
    SINGULAR = "singular"
    PLURAL = "plural"

    def routes(self, name: str) -> bool:
        """Tell whether a path with this API name reaches Campaign.

        ``profileAndServicesExt`` always does: only the plural is in doubt.
        """
        if name == f"{SINGULAR}Ext":
            return True
        if name == SINGULAR:
            return self is not Apis.PLURAL
        return name in (PLURAL, f"{PLURAL}Ext") and self is not Apis.SINGULAR


class GetStyle(StrEnum):
    """The answer to a GET of one profile: the profile, or a list of one."""

    FLAT = "flat"
    CONTENT = "content"


class PatchStyle(StrEnum):
    """The answer to a PATCH: ``{PKey, href}``, or the whole profile."""

    REFERENCE = "reference"
    PROFILE = "profile"


class CountStyle(StrEnum):
    """What a list says of the number of all profiles: a link, link and number, or nothing."""

    HREF = "href"
    INLINE = "inline"
    NONE = "none"


class NextStyle(StrEnum):
    """How ``next.href`` is written.

    ``relative`` begins with the API's name, as the documentation's samples do; ``rooted`` with
    the organization; ``double-slash`` doubles one in the middle; ``foreign-host`` names a host
    that has no business with the caller's token.
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
    """What is wrong with the list of profiles, although a GET of one works.

    ``ends-early`` withholds ``next`` halfway, ``loops`` repeats a page from halfway on, ``hides``
    leaves a share of the profiles out of the list and of the count.
    """

    NONE = "none"
    ENDS_EARLY = "ends-early"
    LOOPS = "loops"
    HIDES = "hides"


class ByEmail(StrEnum):
    """What the filter ``byEmail`` finds: nobody says how exact it is.

    ``finds-nothing`` is a build that never found anybody, ``absent`` an API for which somebody must
    make the filter first, ``finds-everybody`` a parameter that is passed over.
    """

    EXACT = "exact"
    ANY_CASE = "any-case"
    FINDS_NOTHING = "finds-nothing"
    FINDS_EVERYBODY = "finds-everybody"
    ABSENT = "absent"


class RetryAfter(StrEnum):
    """How a 429 or 503 says when to come back."""

    SECONDS = "seconds"
    DATE = "date"
    ABSENT = "absent"


@dataclass(frozen=True)
class Options:
    """A simulated instance.

    Attributes:
        organization: the instance's id in the URL.
        api_key: the one that is accepted.
        access_token: a token that is valid until it is revoked; None for none.
        client_secret: what IMS exchanges for tokens; None switches the exchange off.
        token_life_s: for how long an exchanged token is valid.
        profiles: how many to make up.
        profiles_csv: a file to read them from instead.
        seed: decides made-up profiles, cursors and faults.
        dialect: Campaign Standard, or Campaign v8.
        apis: which spellings of the API's name exist.
        attribute: the opt-out's name.
        attribute_apis: where it is visible; a custom field is on the ``Ext`` API only.
        custom_key: name of a custom key field, which then works in URLs of the ``Ext`` API.
        by_email: what the filter byEmail finds.
        get_style: the answer to a GET of one.
        patch_style: the answer to a PATCH.
        count_style: what a list says of the number of profiles.
        next_style: how the link to the next page is written.
        next_keeps_force: whether that link repeats ``_forcePagination=true``.
        error_style: how Campaign's own error texts are sent.
        scan_fault: what is wrong with the list.
        scan_hides_share: share of the profiles that ``hides`` leaves out.
        max_line_count: most profiles on one page, whatever ``_lineCount`` asks for.
        big_table_threshold: with more profiles than this, ``next`` must be asked for.
        latency_s: delay of every answer.
        rate: requests a second before 429s; None for no limit.
        retry_after: how 429s and 503s say when to come back.
        retry_after_s: and when that is.
        hang_s: how long a hanging request takes; None is until the server ends.
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
