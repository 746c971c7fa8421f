"""The names of columns of request dates."""

from typing import Final

from bulk_sync.rows.same_name import plain

_NAMES: Final = frozenset(
    "".join(name.split())
    for name in (
        "request date", "request time", "request date time", "request timestamp",
        "requested", "requested at", "requested on", "requested date", "date requested",
        "date of request", "date of the request", "time of request",
        "request received", "request received at", "request received on", "request received date",
        "eingang", "eingegangen am", "eingangsdatum", "antragsdatum", "datum des antrags",
        "date de demande", "date de la demande", "fecha de solicitud", "fecha de la solicitud",
        "data richiesta", "data della richiesta",
        "recd", "recd on", "recd date", "date recd",
        "received", "received at", "received on", "received date", "date received",
        "date of receipt", "receipt date",
        "submitted", "submitted at", "submitted on", "submitted date", "date submitted",
        "submission date", "date of submission", "submission time", "submission timestamp",
        "opt out date", "opt out time", "opt out timestamp", "opt out at", "opt out on",
        "date of opt out", "opted out at", "opted out on", "date opted out",
        "opt out request date", "opt out requested at", "opt out requested on",
        "date of opt out request", "date request received", "request received time",
        "ccpa request date", "privacy request date", "consumer request date",
    )
)  # fmt: skip
"""Names of a column of request dates, as ``plain`` makes them. A mere ``date`` or ``created at`` is
not here: it may be the date of the export, or of the profile."""


def is_name(name: str) -> bool:
    """Return whether a column's name, but for a remark in parentheses, is that of request dates."""
    return plain(name.partition("(")[0]) in _NAMES
