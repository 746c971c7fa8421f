"""``bulk-sync recipe cron``: its lines, carried out in cron's own environment."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import key, populate, write_states
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from printed import BARE, PROGRAM, SECRET, Crontab, configuration, recipe, today

from bulk_sync.cli import escapes
from bulk_sync.simulator import Options, Simulator, running

ROOT = Path(__file__).parents[2]
KINDS = ("toml", "crontab")
TONIGHT, LEFT = "0 2 * * *", "0 1,6 * * *"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with running(Options(client_secret=SECRET)) as simulator:
        populate(simulator, 5)
        yield simulator


@pytest.fixture
def home(tmp_path: Path, sim: Simulator) -> Path:
    """Return the folder of a job with blanks in its name, its configuration, and its files."""
    folder = tmp_path / "job of the night"
    (folder / "in").mkdir(parents=True)
    configuration(folder, sim.url, folder / "secret", f'client-secret-file = "{folder}/secret"')
    return folder


def last_line(crontab: Crontab) -> dict[str, object]:
    log = Path(crontab.variables["LOG"]).read_text().splitlines()
    found: dict[str, object] = json.loads(log[-1])
    return found


@pytest.mark.parametrize(
    ("named", "lies_as"),
    [
        ("in/%F list.csv", today("%F list.csv")),
        ("in/*.csv", "any.csv"),
        ("in/50% off.csv", "50% off.csv"),
        ("in/it's $HOME `x`.csv", "it's $HOME `x`.csv"),
    ],
    ids=["dated, with a blank", "glob", "percent", "shell"],
)
def test_the_line_of_tonight_works_unchanged(
    home: Path, sim: Simulator, named: str, lies_as: str
) -> None:
    write_states(home / "in" / lies_as, 5)
    crontab = Crontab.read(recipe(home, "cron", named).text)
    ended = crontab.carry_out(TONIGHT, home)
    assert (ended.returncode, ended.stdout) == (0, "")  # cron mails nothing
    assert last_line(crontab)["outcomes"] == {"updated": 5}
    assert len(sim.patched) == 5
    (report,) = home.glob("*.results.csv")
    assert report.stat().st_mode & 0o777 == 0o600
    assert Path(crontab.variables["LOG"]).stat().st_mode & 0o777 == 0o600


def test_a_job_of_any_name_reaches_the_program(home: Path) -> None:
    write_states(home / "in" / "optouts.csv", 5)
    job = "it's $HOME; opt outs 50%"
    crontab = Crontab.read(recipe(home, "cron", "in/optouts.csv", "--job", job).text)
    ended = crontab.carry_out(TONIGHT, home)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert last_line(crontab)["job"] == job


def test_a_night_that_fails_is_mailed_with_its_exit_code_and_reason(home: Path) -> None:
    crontab = Crontab.read(recipe(home, "cron", "in/optouts.csv").text)
    mail = crontab.carry_out(TONIGHT, home).stdout.splitlines()
    assert mail[0] == "bulk-sync run: exit 2, see bulk-sync help nightly"
    assert "No such file" in json.loads(mail[1])["message"]


def test_a_missing_folder_is_mailed(home: Path) -> None:
    crontab = Crontab.read(recipe(home, "cron", "in/optouts.csv").text)
    home.rename(home.with_name("elsewhere"))
    mail = crontab.carry_out(TONIGHT, home.parent)
    assert mail.returncode != 0
    assert "job of the night" in mail.stdout


def test_the_resume_line_finishes_runs_and_is_silent_without_any(
    home: Path, sim: Simulator
) -> None:
    write_states(home / "in" / "optouts.csv", 5)
    settings = home / "bulk-sync.toml"
    unlimited = settings.read_text()
    settings.write_text(f"{unlimited}max-calls = 2\n")
    crontab = Crontab.read(recipe(home, "cron", "in/optouts.csv").text)
    assert "exit 6" in crontab.carry_out(TONIGHT, home).stdout
    assert len(sim.patched) < 5
    settings.write_text(unlimited)
    for _ in range(2):
        ended = crontab.carry_out(LEFT, home)
        assert (ended.returncode, ended.stdout) == (0, "")
    assert [each for each, _ in sorted(sim.patched)] == [key(number) for number in range(5)]
    assert "nothing to resume" in str(last_line(crontab)["message"])


def test_variables_of_this_shell_are_in_the_recipe_and_secrets_are_not(
    home: Path, sim: Simulator
) -> None:
    write_states(home / "in" / "optouts.csv", 5)
    (home / "bulk-sync.toml").unlink()
    printed = recipe(
        home,
        *("cron", "in/optouts.csv", "--organization", "acme", "--state-dir", "state here"),
        BULK_SYNC_ENDPOINT=sim.url,
        BULK_SYNC_IMS_ENDPOINT=sim.url,
        BULK_SYNC_API_KEY="demo-key",
        BULK_SYNC_CLIENT_SECRET_FILE="secret",
        BULK_SYNC_PING="https://hc.example.com/f00",
        BULK_SYNC_MAX_OPT_INS="0",
    )
    crontab = Crontab.read(printed.text)
    assert crontab.variables["BULK_SYNC_MAX_OPT_INS"] == "0"
    assert crontab.variables["BULK_SYNC_CLIENT_SECRET_FILE"] == str(home / "secret")
    assert "f00" not in printed.text + printed.hints
    assert "install -D -m 600 /dev/stdin /etc/bulk-sync/ping" in printed.hints
    without_ping = {**crontab.variables, "BULK_SYNC_PING_FILE": ""}
    ended = Crontab(without_ping, crontab.commands).carry_out(TONIGHT, home)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert (home / "state here" / "runs").is_dir()


def test_variables_for_one_run_are_not_in_the_recipe(home: Path) -> None:
    once = ("ALLOW", "APPROVED_BY", "DRY_RUN", "FRESH", "YES")
    given = {f"BULK_SYNC_{name}": "inverted" if name == "ALLOW" else "1" for name in once}
    printed = recipe(home, "cron", "x.csv", status=0, **given, BULK_SYNC_ACCESS_TOKEN="hush")
    assert not [name for name in (*given, "BULK_SYNC_ACCESS_TOKEN") if name in printed.text]
    assert all(f"{name} of this shell is left out" in printed.hints for name in given)


def test_missing_values_are_placeholders_and_hints(tmp_path: Path) -> None:
    printed = recipe(tmp_path, "cron")
    assert "BULK_SYNC_ORGANIZATION=ORGANIZATION" in printed.text
    assert "/path/to/optouts-" in printed.text
    for word in ("ORGANIZATION", "API-KEY", "/etc/bulk-sync/client-secret", "nightly file"):
        assert word in printed.hints


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cron", "-"], "standard input"),
        (["cron", "a\nb.csv"], "Rename it"),
        (["cron", "x.csv", "--at", "25:00"], "02:00"),
        (["cron", "x.csv", "--at", "02:00:30"], "02:00"),
        (["crontab"], "There are: cron,"),
        (["cron", ""], "INPUT is empty; an unset variable, perhaps."),
        (["alerts", "--period", "0"], "a period takes a minute or more"),
    ],
    ids=["standard input", "line break", "no time", "seconds", "no recipe", "empty", "no period"],
)
def test_impossible_values_are_explained(tmp_path: Path, words: list[str], message: str) -> None:
    printed = recipe(tmp_path, *words, status=2)
    assert printed.text == ""
    assert message in printed.hints


@pytest.mark.parametrize("name", ["cron", "systemd", "kubernetes"])
@pytest.mark.parametrize(
    "source",
    ["https://web.example.com/in.csv?sig=s3cret", "https://me:s3cret@web.example.com/in.csv"],
)
def test_a_secret_in_the_url_of_the_file_is_not_printed(
    name: str, source: str, tmp_path: Path
) -> None:
    printed = recipe(tmp_path, name, source)
    assert "https://web.example.com/in.csv" in printed.text
    assert "s3cret" not in printed.text + printed.hints
    assert "may be a secret, so it is left out." in printed.hints
    plain = recipe(tmp_path, name, "https://web.example.com/in.csv")
    assert plain.text == printed.text
    assert "left out" not in plain.hints


def test_the_job_waits_for_another_run_by_default(home: Path) -> None:
    assert "--lock-wait 4h" in recipe(home, "cron", "x.csv").text
    settings = home / "bulk-sync.toml"
    settings.write_text(f'{settings.read_text()}lock-wait = "5m"\n')
    assert "--lock-wait" not in recipe(home, "cron", "x.csv").text


PATHS = st.text(st.characters(codec="utf-8", categories=("L", "M", "N", "P", "S", "Zs")))


@pytest.mark.parametrize("page", ["README.md", "bulk_sync/manual/nightly.md"])
def test_the_pages_show_what_the_recipe_prints(tmp_path: Path, page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    settings, crontab = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)[0] for kind in KINDS)
    (typed,) = re.findall(r"^bulk-sync (recipe cron .*?)(?: >.*)?$", text, re.MULTILINE)
    folder = tmp_path / "var" / "lib" / "optouts"
    folder.mkdir(parents=True)
    (folder / "bulk-sync.toml").write_text(settings)
    printed = recipe(folder, *shlex.split(typed)[1:]).text
    there = printed.replace(str(tmp_path), "").replace(str(PROGRAM.parent), "/opt/bulk-sync/bin")
    assert there == crontab


@examples(16)
@given(PATHS.map("/{}".format).filter(str.isprintable).filter(lambda each: len(each) < 200))
def test_any_path_reaches_the_program_as_it_is(path: str) -> None:
    command = escapes.cron_command(f"printf %s {shlex.quote(path)}")
    ((_, read),) = Crontab.read(f"* * * * * {command}").commands.items()
    ended = subprocess.run(["/bin/sh", "-c", read], capture_output=True, env=BARE, check=True)
    assert ended.stdout.decode() == path
    (word,) = shlex.split(escapes.systemd_argument(path))
    assert word.replace("$$", "$").replace("%%", "%") == path
    assert Crontab.read(f"A={escapes.cron_value(path)}").variables == {"A": path}
