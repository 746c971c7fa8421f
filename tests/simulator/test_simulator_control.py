from simulator_wire import Wire, wired

from bulk_sync.simulator import Options

DOOR = "/_simulator"


def ask(wire: Wire, what: str) -> object:
    return wire.send("GET", f"{DOOR}/{what}", headers={}).json


def test_another_process_can_read_counters_and_states() -> None:
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
        assert wire.get(f"{DOOR}/secrets").status == 404
