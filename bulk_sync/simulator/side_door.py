"""A side door for other processes: what the simulator holds, was asked, and should get wrong.

    GET  /_simulator/state       {PKey: opt-out}
    GET  /_simulator/counters    {"methods": {}, "statuses": {}, "faults": {}}
    GET  /_simulator/requests    [{"method": ..., "raw_path": ..., "query": ..., ...}]
    GET  /_simulator/patched     [[PKey, opt-out]]
    POST /_simulator/faults      {"fault": "unavailable_503", "method": "GET", "times": 3}

It is no part of the API: no token is asked for, nothing is counted, nothing goes wrong.
"""

from http import HTTPStatus
from typing import Any, Final

import orjson

from bulk_sync.simulator import bodies
from bulk_sync.simulator.bodies import Answer
from bulk_sync.simulator.faults import Fault
from bulk_sync.simulator.handle import Request, Simulator
from bulk_sync.simulator.received import Call

PREFIX: Final = "/_simulator/"


def answer(simulator: Simulator, call: Call) -> Answer:
    """Answer one request to the side door."""
    match (call.method, call.raw_path.removeprefix(PREFIX)):
        case ("GET", "state"):
            return bodies.json(simulator.states)
        case ("GET", "counters"):
            counters = simulator.counters
            statuses = {str(status): count for status, count in counters.statuses.items()}
            faults = {str(fault): count for fault, count in counters.faults.items()}
            return bodies.json(
                {"methods": counters.methods, "statuses": statuses, "faults": faults}
            )
        case ("GET", "requests"):
            return bodies.json([_request(request) for request in simulator.requests])
        case ("GET", "patched"):
            return bodies.json(simulator.patched)
        case ("POST", "faults"):
            return _queue(simulator, call.body)
        case _:
            return bodies.json({"message": "No such door."}, HTTPStatus.NOT_FOUND)


def _request(request: Request) -> dict[str, Any]:
    """Show a request without its headers: they hold a token."""
    return {
        "method": request.method,
        "raw_path": request.raw_path,
        "query": request.query,
        "body": request.body.decode("utf-8", "replace"),
        "status": request.status,
        "at": request.at,
    }


def _queue(simulator: Simulator, body: bytes) -> Answer:
    try:
        asked = orjson.loads(body)
        fault = Fault(asked["fault"])
        times = int(asked.get("times", 1))
    except (ValueError, KeyError, TypeError) as error:
        message = f'{error}; write e.g. {{"fault": "{Fault.RESET}", "times": 1}}.'
        return bodies.json({"message": message}, HTTPStatus.BAD_REQUEST)
    simulator.queue_fault(fault, asked.get("method"), times, asked.get("matching"))
    return Answer(HTTPStatus.NO_CONTENT)
