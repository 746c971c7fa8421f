"""A custom field for the opt-out: its existence is checked before any read."""

from pathlib import Path

import pytest
from conftest import Run, key, write_states

from bulk_sync.simulator import Fault, Options, Simulator, running

CUSTOM = "cusOptOutCcpa"
EXT = "profileAndServicesExt"
OPTIONS = Options(attribute=CUSTOM, attribute_apis=(EXT,))


def filled(sim: Simulator) -> Simulator:
    for number in range(3):
        sim.add(pkey=key(number), email=f"p{number}@example.com", **{CUSTOM: False})
    return sim


def test_a_custom_boolean_is_checked_with_one_call(tmp_path: Path, run: Run) -> None:
    with running(OPTIONS) as sim:
        path = write_states(tmp_path / "in.csv", 3)
        ran = run(filled(sim), "run", path, "--attribute", CUSTOM, "--api", EXT)
        assert ran.status == 0
        assert [profile[CUSTOM] for profile in sim.profiles.values()] == [True] * 3
        described = [each for each in sim.requests if "resourceType" in each.raw_path]
        assert len(described) == 1
        assert sim.requests[0] == described[0]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--attribute", "cusOptOutCpa", "--api", EXT), f"come close: {CUSTOM}"),
        (("--attribute", "cusoptoutccpa", "--api", EXT), f"come close: {CUSTOM}"),
        (("--attribute", "firstName", "--api", EXT), "not a boolean, but string"),
        (("--attribute", CUSTOM), f"Give --api {EXT}"),
        (("--attribute", CUSTOM, "--api", "profileAndServices"), f"Give --api {EXT}"),
        (("--attribute", "cusNothing", "--api", EXT), "no such field"),
    ],
    ids=["misspelled", "another case", "no boolean", "api by itself", "other api", "unknown"],
)
def test_2_for_an_unknown_attribute(
    words: tuple[str, ...], text: str, tmp_path: Path, run: Run
) -> None:
    with running(OPTIONS) as sim:
        path = write_states(tmp_path / "in.csv", 3)
        ran = run(filled(sim), "run", path, *words)
        assert ran.status == 2
        assert text in ran.err
        assert not sim.patched
        assert not any(key(0)[1:] in each.raw_path for each in sim.requests)


@pytest.mark.parametrize("words", [(), ("--api", "profileAndServices")], ids=["auto", "named"])
def test_the_built_in_attribute_costs_no_call(
    words: tuple[str, ...], sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.add(pkey=key(0), ccpaOptOut=False)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 1), *words).status == 0
    assert not any("resourceType" in each.raw_path for each in sim.requests)


def test_the_run_goes_on_if_fields_are_not_described(tmp_path: Path, run: Run) -> None:
    with running(OPTIONS) as sim:
        sim.queue_fault(Fault.WRONG_JSON, times=20, matching="resourceType")
        path = write_states(tmp_path / "in.csv", 3)
        words = ("--attribute", CUSTOM, "--api", EXT, "--retries", 0)
        ran = run(filled(sim), "run", path, *words)
        assert ran.status == 0
        assert f"Campaign did not show whether profiles have the field {CUSTOM}" in ran.err
