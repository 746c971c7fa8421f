"""How the page is served: frozen settings, made by ``cli/commands/serve.py``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bulk_sync.settings import State, is_loopback

HOST: Final = "127.0.0.1"
PORT: Final = 8710

MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class TrustedProxy:
    """A reverse proxy in front of the page.

    Attributes:
        is_there: it speaks TLS with the browser.
        trusted: the addresses from which its headers are accepted.
        user_header: the header with the name of the person; "" if the proxy signs no one in.
        role_header: the header with the person's roles; "" if there is none.
        hosts: the names of the page in the address line of a browser.
    """

    is_there: bool = False
    trusted: tuple[IPv4Network | IPv6Network, ...] = ()
    user_header: str = ""
    role_header: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PageSettings:
    """How the page is served.

    Attributes:
        state: where runs, the ledger and the page's own files are.
        port: the port; 0 takes a free one.
        tls_cert: the certificates of the server, PEM; None for plain HTTP.
        tls_key: the key of the certificate.
        proxy: what is in front of it.
        approvals: so many people other than the uploader must approve a plan.
        approval_valid_s: how long an approval counts.
        plan_valid_s: how old a plan may be when it begins to be applied.
        max_upload: bytes of one upload.
        keep_days: how long uploads, plans and reports are kept.
        variables: the options of ``serve`` that its processes take too, as variables.
    """

    state: State
    host: str = HOST
    port: int = PORT
    tls_cert: Path | None = None
    tls_key: Path | None = None
    proxy: TrustedProxy = field(default_factory=TrustedProxy)
    approvals: int = 1
    approval_valid_s: float = 86_400.0
    plan_valid_s: float = 7 * 86_400.0
    max_upload: int = 200 * MEGABYTE
    keep_days: int = 800
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    @property
    def is_secure(self) -> bool:
        """Return whether browsers reach the page by TLS."""
        return self.tls_cert is not None or self.proxy.is_there

    @property
    def is_local(self) -> bool:
        """Return whether only this machine reaches the page."""
        return is_loopback(self.host)

    @property
    def folder(self) -> Path:
        """Return the folder of the page's own files: uploads, plans, reports, logs."""
        return self.state.folder / "page"
