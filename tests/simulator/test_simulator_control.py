import pytest
from simulator_wire import PROFILE, Wire, wired

from bulk_sync.simulator import Options

DOOR = "/_simulator"


def ask(wire: Wire, what: str) -> object:
    return wire.send("GET", f"{DOOR}/{what}", headers={}).json


def test_another_process_can_ask_what_happened() -> None:
    with wired(Options()) as wire:
        wire.simulator.add(pkey="a", ccpaOptOut=False)
        wire.simulator.add(pkey="b")
        wire.patch("a", {"ccpaOptOut": True})
        assert ask(wire, "state") == {"a": True, "b": None}
        assert ask(wire, "patched") == [["a", True]]
        assert ask(wire, "counters") == {
            "methods": {"PATCH": 1},
            "statuses": {"200": 1},
            "faults": {},
        }
        (request,) = wire.send("GET", f"{DOOR}/requests").json
    assert (request["method"], request["raw_path"]) == ("PATCH", f"{PROFILE}/a")
    assert "demo-token" not in str(request)


def test_another_process_can_queue_faults() -> None:
    fault = {"fault": "unavailable_503", "method": "GET", "times": 3}
    with wired(Options(profiles=1)) as wire:
        assert wire.send("POST", f"{DOOR}/faults", fault).status == 204
        assert [wire.get(PROFILE).status for _ in range(4)] == [503, 503, 503, 200]


@pytest.mark.parametrize(
    "body",
    [{"fault": "nonsense"}, {}, [], b"{", {"fault": "reset", "times": "many"}],
    ids=["unknown", "missing", "list", "not JSON", "times"],
)
def test_a_fault_that_cannot_be_is_refused(body: object) -> None:
    with wired(Options(profiles=1)) as wire:
        assert wire.send("POST", f"{DOOR}/faults", body).status == 400
        assert wire.get(PROFILE).status == 200


def test_there_is_nothing_else_behind_the_door() -> None:
    with wired(Options()) as wire:
        assert wire.get(f"{DOOR}/secrets").status == 404
