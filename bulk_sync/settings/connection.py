"""Where Campaign is, how its APIs are called, and the credentials."""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from bulk_sync.errors import UsageProblem

PLURAL: Final = "profilesAndServices"
"""The spelling of Adobe's page on the CCPA opt-out, and of no other page."""

SINGULAR: Final = "profileAndServices"
EXTENDED: Final = "profileAndServicesExt"
AUTO: Final = "auto"

ATTRIBUTE: Final = "ccpaOptOut"
"""The attribute of every profile; any other one is a custom field."""

SCOPE: Final = (
    "openid,AdobeID,campaign_sdk,additional_info.projectedProductContext,"
    "campaign_config_server_general,deliverability_service_general"
)
"""The scopes of Campaign clients; Adobe documents no list (manual/campaign-api.md, section 5)."""

_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LONGEST_HOST: Final = 253


def is_sendable(value: str) -> bool:
    """Return whether an HTTP header can hold a value: visible ASCII characters alone."""
    return bool(value) and all(" " < char <= "~" for char in value)


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that does not print itself; ``name`` says in messages what it is."""

    value: str = field(repr=False)
    name: str = "A token or secret"

    def __post_init__(self) -> None:
        """Refuse a value that no HTTP header can hold."""
        if not is_sendable(self.value):
            raise UsageProblem(
                f"{self.name} is empty, or holds blanks, line breaks or non-ASCII characters. Copy "
                "it again, without quotes."
            )

    def __str__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The technical account of Campaign.

    Attributes:
        api_key: the OAuth client id.
        access_token: a ready token, or None.
        client_secret: exchanged for tokens at ``ims_endpoint``, or None.
        ims_endpoint: base URL of IMS.
        scope: OAuth scopes, separated by commas.
    """

    api_key: str
    access_token: Secret | None = None
    client_secret: Secret | None = None
    ims_endpoint: str = "https://ims-na1.adobelogin.com"
    scope: str = SCOPE

    def __post_init__(self) -> None:
        """Refuse credentials that cannot work."""
        _check_url("--ims-endpoint", self.ims_endpoint)
        Secret(self.api_key, "--api-key")
        if self.access_token is None and self.client_secret is None:
            raise UsageProblem(
                "No credentials. Set BULK_SYNC_CLIENT_SECRET (exchanged for tokens) or "
                "BULK_SYNC_ACCESS_TOKEN (a ready token), or name a file that holds it in the same "
                "variable with _FILE appended."
            )


class Place(Protocol):
    """Where profiles are: a connection, a run, or a plan."""

    @property
    def endpoint(self) -> str:
        """Return the base URL of Campaign."""

    @property
    def organization(self) -> str:
        """Return the id of the instance."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Campaign is, and the credentials.

    Attributes:
        endpoint: base URL, without a slash at its end.
        organization: the instance's id in the URL.
        api: the API's name in the URL, or ``auto``.
        attribute: the profile attribute of the opt-out.
        ca_file: certificates of a private CA, PEM.
    """

    endpoint: str
    organization: str
    credentials: Credentials
    api: str = AUTO
    attribute: str = ATTRIBUTE
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a connection that cannot work."""
        _check_url("--endpoint", self.endpoint)
        check_word("--organization", self.organization)
        check_word("--api", self.api)
        check_word("--attribute", self.attribute)
        try:
            is_missing = self.ca_file is not None and not self.ca_file.is_file()
        except OSError as error:
            raise UsageProblem(f"--ca-file {self.ca_file}: {error.strerror}.") from error
        if is_missing:
            raise UsageProblem(f"--ca-file {self.ca_file}: no such file.")


def check_word(option: str, value: str) -> None:
    """Raise UsageProblem if a value is no single word of a URL."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-]", value):
        raise UsageProblem(
            f"{option} {value!r}: letters, digits, '_', '-' and '.' only; it becomes a part of the "
            "URL or of the request."
        )


def _check_url(option: str, url: str) -> None:
    without_user = re.sub(r"(?s)^(\w+://)?.*@", r"\g<1>***@", url)
    shown = re.sub(r"(?s)[?#].*", "?***", without_user)
    if any(char.isspace() or not char.isprintable() for char in url):
        raise UsageProblem(
            f"{option} {shown!r} is no URL: it holds a blank or an invisible character."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
        check_host(parts.hostname or "none")
    except ValueError as error:
        why = f": {error}" if shown == url else ""  # it may quote a password
        raise UsageProblem(f"{option} {shown!r} is no URL{why}.") from error
    if port == 0:
        raise UsageProblem(f"{option} {shown!r}: no server has port 0.")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageProblem(f"{option} {shown!r} is no URL; write it like https://mc.adobe.io.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageProblem(f"{option} must hold scheme, host and path alone.")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise UsageProblem(
            f"{option} {url!r} would send the credentials unencrypted. Use https; plain http is "
            "for a simulator on this machine."
        )


def check_host(host: str) -> None:
    """Raise ValueError, with the wrong part, if no host can have this name."""
    if ":" in host:
        ipaddress.ip_address(host.partition("%")[0])
        return
    labels = host.removesuffix(".").split(".")
    if not all(labels):
        raise ValueError(f"the host name {host!r} has an empty part")
    for label in labels:
        try:
            encoded = label.encode("idna").decode()
        except UnicodeError as error:
            raise ValueError(f"no host name has the part {label[:80]!r}") from error
        if not _LABEL.fullmatch(encoded):
            raise ValueError(f"no host name has the part {label[:80]!r}")
    if len(host) > _LONGEST_HOST:
        raise ValueError(f"a host name has at most {_LONGEST_HOST} characters")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, whatever a resolver answers (RFC 6761)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        name = host.lower().removesuffix(".")
        return name == "localhost" or name.endswith(".localhost")
