"""Control of the simulator by other processes: its profiles, its requests, its next faults.

    GET  /_simulator/state       {PKey: opt-out}
    GET  /_simulator/counters    {"methods": {}, "statuses": {}, "faults": {}}
    GET  /_simulator/requests    [{"method": ..., "raw_path": ..., "query": ..., ...}]
    GET  /_simulator/patched     [[PKey, opt-out]]
    POST /_simulator/faults      {"fault": "unavailable_503", "method": "GET", "times": 3}

It is no part of the API: it needs no token, counts nothing and never fails on purpose.
"""

from http import HTTPStatus
from typing import Any, Final

import orjson

from bulk_sync.simulator import answers
from bulk_sync.simulator.answers import Answer
from bulk_sync.simulator.call import Call, Request
from bulk_sync.simulator.faults import Fault
from bulk_sync.simulator.simulation import Simulator

PREFIX: Final = "/_simulator/"


def answer(simulator: Simulator, call: Call) -> Answer:
    """Answer one request for control."""
    match (call.method, call.raw_path.removeprefix(PREFIX)):
        case ("GET", "state"):
            return answers.json(simulator.states)
        case ("GET", "counters"):
            counters = simulator.counters
            statuses = {str(status): count for status, count in counters.statuses.items()}
            faults = {str(fault): count for fault, count in counters.faults.items()}
            return answers.json(
                {"methods": counters.methods, "statuses": statuses, "faults": faults}
            )
        case ("GET", "requests"):
            return answers.json([_request(request) for request in simulator.requests])
        case ("GET", "patched"):
            return answers.json(simulator.patched)
        case ("POST", "faults"):
            return _queue(simulator, call.body)
        case _:
            return answers.json({"message": "There is no such path."}, HTTPStatus.NOT_FOUND)


def _request(request: Request) -> dict[str, Any]:
    """Return a request without its headers: they hold a token."""
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
        order = orjson.loads(body)
        fault = Fault(order["fault"])
        times = int(order.get("times", 1))
    except (ValueError, KeyError, TypeError) as error:
        message = f'{error}; write e.g. {{"fault": "{Fault.RESET}", "times": 1}}.'
        return answers.json({"message": message}, HTTPStatus.BAD_REQUEST)
    simulator.queue_fault(fault, order.get("method"), times, order.get("matching"))
    return Answer(HTTPStatus.NO_CONTENT)
