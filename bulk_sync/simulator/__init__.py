"""A stand-in for the documented Campaign Standard API, for tests, demonstrations and rehearsals.

    server.py  HTTP        simulation.py  requests, faults, counters     control.py  for processes
      gateway.py             tokens, API keys, the rate limit; IMS
      rest_api.py            reads, writes; profile_pages.py, profile_metadata.py
        instance.py            the profiles; sample_profiles.py

It is written from what is known of the API, never from the client, and shares no code with it: a
mistake in both would pass every test. An option decides what the documentation leaves open.

    with running(Options(profiles=100)) as simulator:
        key = next(iter(simulator.profiles))
        simulator.queue_fault(Fault.UNAVAILABLE_503, method="GET")
        ...                                    # requests to simulator.url
        assert simulator.patched == [(key, True)]
"""

from bulk_sync.simulator.behavior import (
    Apis,
    ByEmail,
    CountStyle,
    Dialect,
    ErrorStyle,
    GetStyle,
    NextStyle,
    Options,
    PatchStyle,
    RetryAfter,
    ScanFault,
)
from bulk_sync.simulator.call import ReceivedRequest
from bulk_sync.simulator.faults import Fault
from bulk_sync.simulator.server import running, serve_in_foreground
from bulk_sync.simulator.simulation import Simulator

__all__ = [
    "Apis", "ByEmail", "CountStyle", "Dialect", "ErrorStyle", "Fault", "GetStyle", "NextStyle",
    "Options", "PatchStyle", "ReceivedRequest", "RetryAfter", "ScanFault", "Simulator", "running",
    "serve_in_foreground",
]  # fmt: skip
