"""What other processes may ask of the simulator: its profiles, and what was done to them.

    /_simulator/state       {PKey: opt-out}
    /_simulator/counters    {"methods": {}, "statuses": {}, "faults": {}}
    /_simulator/patched     [[PKey, opt-out]]

It is no part of the API: it needs no token, counts nothing and never fails on purpose.
"""

from http import HTTPStatus
from typing import Final

from bulk_sync.simulator import answers
from bulk_sync.simulator.answers import Answer
from bulk_sync.simulator.call import Call
from bulk_sync.simulator.simulation import Simulator

PREFIX: Final = "/_simulator/"


def answer(simulator: Simulator, call: Call) -> Answer:
    """Answer one request for control."""
    match call.raw_path.removeprefix(PREFIX):
        case "state":
            return answers.json(simulator.states)
        case "counters":
            counters = simulator.counters
            statuses = {str(status): count for status, count in counters.statuses.items()}
            faults = {str(fault): count for fault, count in counters.faults.items()}
            return answers.json(
                {"methods": counters.methods, "statuses": statuses, "faults": faults}
            )
        case "patched":
            return answers.json(simulator.patched)
        case _:
            return answers.json({"message": "There is no such path."}, HTTPStatus.NOT_FOUND)
