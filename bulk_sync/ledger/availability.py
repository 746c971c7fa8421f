"""Whether a database server is away for the moment."""

import os
import re
import socket
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

_CONNECT_S: Final = 10
"""Seconds until a host that does not answer is given up; a driver alone waits for minutes."""

_PING_S: Final = 2
"""The same for a ping, during which the driver holds up all threads of the process."""

_NO_SUCH_HOST: Final = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_FOR_THE_MOMENT: Final = re.compile(
    "too many (clients|connections)|connection slots|the database system is "
)
"""The driver has no error code for a connection that was refused."""


def limits(url: URL) -> Mapping[str, int]:
    """Return how long a connection waits for its server, unless the URL says so itself."""
    if url.get_backend_name() != "postgresql":
        return {}
    found = {
        "connect_timeout": _CONNECT_S,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    if "PGCONNECT_TIMEOUT" in os.environ:
        del found["connect_timeout"]
    return {name: value for name, value in found.items() if name not in url.query}


def break_off(connection: Connection) -> None:
    """Drop a connection in the middle of a statement, which could not be closed in order."""
    if connection.closed or connection.invalidated:
        return
    driver = connection.connection.dbapi_connection
    status = getattr(getattr(driver, "info", None), "transaction_status", None)
    if getattr(status, "name", "") == "ACTIVE":
        connection.invalidate()


def was_lost(error: SQLAlchemyError) -> bool:
    """Return whether the connection broke."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_away(url: URL, error: SQLAlchemyError) -> bool:
    """Return whether a connection broke, or could not be made: the server is away for the moment.

    A server that answers, but refuses the user or knows no such database, is not away, and neither
    is a host whose name does not exist.
    """
    if was_lost(error):
        return True
    if url.get_backend_name() != "postgresql" or not isinstance(error, OperationalError):
        return False
    from psycopg.errors import ConnectionTimeout  # noqa: PLC0415  # an extra
    from psycopg.pq import PGconn, Ping  # noqa: PLC0415

    if isinstance(error.orig, ConnectionTimeout) or _FOR_THE_MOMENT.search(str(error.orig)):
        return True
    if not _has_host(url):
        return False
    given = limits(url)
    short = {"connect_timeout": _PING_S} if "connect_timeout" in given else {}
    timed = url.set(drivername="postgresql").update_query_dict(
        {name: str(value) for name, value in {**given, **short}.items()}
    )
    ping = PGconn.ping(timed.render_as_string(hide_password=False).encode())
    return ping in {Ping.REJECT, Ping.NO_RESPONSE}


def _has_host(url: URL) -> bool:
    """Return whether the name of the host exists, as far as is known."""
    try:
        socket.getaddrinfo(url.host, None)
    except socket.gaierror as error:
        return url.host is None or error.errno not in _NO_SUCH_HOST
    except UnicodeError:
        return False
    return True
