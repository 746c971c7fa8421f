"""Several people in front of one plan, each with a browser; and confirmations of opt-ins."""

from collections.abc import Iterator, Mapping

import pytest
from conftest import key
from flow import make_plan, page_for, press
from keyboard import Reader, reader
from page_states import listed
from playwright.sync_api import Browser, expect
from serving import Served

from bulk_sync.simulator import Options, Simulator, running
from bulk_sync.web import plan_state
from bulk_sync.web.identity import Role

_MANY = 120
"""Opt-ins: three pages of them."""


@pytest.fixture(scope="module", autouse=True)
def sim() -> Iterator[Simulator]:
    with running(Options()) as simulator:
        yield simulator


@pytest.fixture(scope="module", autouse=True)
def served(sim: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch, page_for(sim, folder, patch) as served:
        yield served


@pytest.fixture(scope="module", autouse=True)
def plans(
    sim: Simulator, served: Served, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, str]:
    """Make plans with a request for approval; return their paths by name."""
    folder, found = tmp_path_factory.mktemp("lists"), {}
    ana = served.signed_in(Role.UPLOADER)
    for at, name in enumerate(("at once", "sent back")):
        found[name] = make_plan(served, listed(sim, folder / f"{name}.csv", 1000 * at, 0, 2))
    found["ticked"] = make_plan(served, listed(sim, folder / "ticked.csv", 3000, 2, 3))
    many = listed(sim, folder / "many.csv", 9000, _MANY, 10)
    raised = f"--allow inverted --max-opt-ins {_MANY}"
    found["many"] = make_plan(served, many, raised=raised)
    for plan_id in found.values():
        plan_state.read(served.page, plan_id)  # has the same SHA-256
        press(ana, served, f"/plans/{plan_id}/ask")
    return {name: f"{served.url}/plans/{plan_id}" for name, plan_id in found.items()}


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_SYNC_ACCESS_TOKEN", "demo-token")


@pytest.fixture(scope="module")
def ben(browser: Browser, served: Served) -> Iterator[Reader]:
    with reader(browser, served, Role.APPROVER) as found:
        yield found


@pytest.fixture(scope="module")
def ida(browser: Browser, served: Served) -> Iterator[Reader]:
    with reader(browser, served, Role.ADMIN) as found:
        yield found


def wait_for_text(reader: Reader, text: str) -> None:
    expect(reader.page.locator("main")).to_contain_text(text)


def test_the_second_of_two_simultaneous_approvers_is_led_to_the_run(
    sim: Simulator, ben: Reader, ida: Reader, plans: Mapping[str, str]
) -> None:
    for each in (ben, ida):
        each.page.goto(plans["at once"])
    ben.press("Approve and apply")
    ben.wait_for_run()
    ida.press("Approve and apply")
    wait_for_text(ida, "The plan has been applied.")
    ida.go("Show how it stands now", "plans/*")
    ida.go("show the run", "runs/*")
    wait_for_text(ida, "2 of 3 rows were changed")
    assert [sim.patched.count((key(number), True)) for number in range(2)] == [1, 1]


def test_a_plan_sent_back_is_not_approved_from_an_older_screen(
    sim: Simulator, ben: Reader, ida: Reader, plans: Mapping[str, str]
) -> None:
    for each in (ben, ida):
        each.page.goto(plans["sent back"])
    ben.press("Send back")
    expect(ben.page.get_by_label("Comment")).to_be_focused()
    ben.type("Comment", "Who is row 2?")
    ben.press("Send back")
    ida.press("Approve and apply")
    wait_for_text(ida, "Ben Miller sent this plan back: “Who is row 2?”")
    assert not sim.states[key(1000)]


def test_a_jump_to_the_end_does_not_confirm_the_skipped_opt_ins(
    sim: Simulator, ben: Reader, plans: Mapping[str, str]
) -> None:
    ben.page.goto(plans["many"])
    ben.page.keyboard.press("End")
    wait_for_text(ben, "Not on your screen yet: opt-ins 1 to 50 and on 2 more pages.")
    expect(ben.button("Approve and apply")).to_be_disabled()
    ben.page.keyboard.press("Home")
    ben.look_at_opt_ins()
    wait_for_text(ben, "Every opt-in has been on your screen.")
    ben.page.reload()
    expect(ben.button("Approve and apply")).to_be_enabled()
    assert sim.states[key(9000)]  # nothing is lifted before it is approved


def test_without_the_script_a_ticked_box_is_enough_to_approve(
    browser: Browser, sim: Simulator, served: Served, plans: Mapping[str, str]
) -> None:
    with reader(browser, served, Role.APPROVER, has_script=False) as plain:
        plain.page.goto(plans["ticked"])
        plain.press("Approve and apply")
        wait_for_text(plain, "Not confirmed yet: opt-ins 1 to 2. Tick the box below them.")
        assert sim.states[key(3000)]
        plain.page.get_by_role("checkbox").check()
        plain.press("Approve and apply")
        plain.wait_for_run()
    assert not sim.states[key(3000)]
