"""``bulk-sync recipe systemd``: units that systemd accepts, and commands that work."""

import re
import shutil
from pathlib import Path

import pytest
from conftest import populate, write_states
from printed import SECRET, configuration, recipe, shell, today, units, words_of

from bulk_sync import signals
from bulk_sync.cli.escapes import has_date
from bulk_sync.simulator import Options, running

PARTS = ("-resume.service", "-resume.timer", ".service", ".timer")
NAMES = [f"bulk-sync-nights{part}" for part in PARTS]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "job of the night"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "source",
    ['%F "quoted" $HOME.csv', "50% of $HOME.csv"],
    ids=["dated, with quotes", "percent"],
)
def test_the_command_works_with_the_variables_of_the_unit(
    home: Path, tmp_path: Path, source: str
) -> None:
    with running(Options(client_secret=SECRET)) as sim:
        populate(sim, 3)
        secret = tmp_path / "secret"
        configuration(home, sim.url, secret, f'client-secret-file = "{secret}"')
        (tmp_path / "units").mkdir()
        printed = recipe(home, "systemd", source, "--job", "nights", "--state-dir", "state")
        service = units(printed.text, tmp_path / "units")["bulk-sync-nights.service"]
        name = today(source) if has_date(source) else source
        write_states(home / name, 3)
        (credential,) = service["LoadCredential"]
        assert credential == f"client-secret:{tmp_path}/secret"
        (home / "client-secret").write_text(SECRET)
        settings = [words_of(value)[0].replace("%d", str(home)) for value in service["Environment"]]
        variables = dict(setting.split("=", 1) for setting in settings)
        (command,) = service["ExecStart"]
        ended = shell(words_of(command), Path(service["WorkingDirectory"][0]), variables)
        assert ended.returncode == 0, ended.stdout
        assert '"updated":3' in ended.stdout
        assert '"job":"nights"' in ended.stdout


def test_there_are_two_pairs_and_a_stop_leaves_time_to_finish(home: Path, tmp_path: Path) -> None:
    text = recipe(home, "systemd", "in.csv", "--job", "Nights!", "--at", "23:30").text
    (tmp_path / "units").mkdir()
    found = units(text, tmp_path / "units")
    assert list(found) == NAMES
    assert found["bulk-sync-nights.timer"]["OnCalendar"] == ["*-*-* 23:30:00"]
    assert found["bulk-sync-nights-resume.timer"]["OnCalendar"] == [
        "*-*-* 03:30:00",
        "*-*-* 22:30:00",
    ]
    for name in NAMES:
        if name.endswith(".timer"):
            assert found[name]["Persistent"] == ["true"]
            continue
        assert int(found[name]["TimeoutStopSec"][0]) > signals._END_WITHIN_S + 2
        assert found[name]["ProtectSystem"] == ["strict"]
        assert "3" not in found[name]["SuccessExitStatus"][0].split()


@pytest.mark.parametrize(
    ("words", "folder", "writable"),
    [
        ([], "bulk-sync", [""]),
        (["--state-dir", "/var/lib/opt-outs/state"], "opt-outs/state", [""]),
        (["--state-dir", "/srv/state"], None, ["", "/srv/state"]),
        (["--metrics-file", "/srv/metrics/b.prom"], "bulk-sync", ["", "/srv/metrics"]),
    ],
    ids=["default", "state in /var/lib", "state elsewhere", "metrics"],
)
def test_a_service_may_write_where_it_has_to_and_nowhere_else(
    home: Path, tmp_path: Path, words: list[str], folder: str | None, writable: list[str]
) -> None:
    (tmp_path / "units").mkdir()
    printed = recipe(home, "systemd", "in.csv", *words)
    service = units(printed.text, tmp_path / "units")["bulk-sync.service"]
    assert service.get("StateDirectory") == (folder and [folder])
    found = [words_of(value)[0] for value in service["ReadWritePaths"]]
    assert found == [each or str(home) for each in writable]


REPORTS = ("/archive/{run_id}.csv", "s3://archive/{run_id}.csv", "x.html")


@pytest.mark.parametrize("is_configured", [True, False], ids=["configuration", "variable"])
@pytest.mark.parametrize(
    ("reports", "writable"),
    [(REPORTS, ["/archive", "here"]), (REPORTS[1:2], ["here"])],
    ids=["files and a bucket", "a bucket alone"],
)
def test_a_service_may_write_where_its_reports_go_on_this_machine(
    reports: tuple[str, ...], writable: list[str], is_configured: bool, home: Path, tmp_path: Path
) -> None:
    if is_configured:
        (home / "bulk-sync.toml").write_text(f"[job.nights]\nreport = {[*reports]}\n")
    given = {} if is_configured else {"BULK_SYNC_REPORT": ":".join(reports)}
    (tmp_path / "units").mkdir()
    printed = recipe(home, "systemd", "in.csv", status=0, **given)
    service = units(printed.text, tmp_path / "units")["bulk-sync.service"]
    found = [words_of(each)[0] for each in service["ReadWritePaths"]]
    assert found == [each.replace("here", str(home)) for each in writable]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_units_and_calls_them_safe(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "units"
    folder.mkdir()
    text = recipe(home, "systemd", 'in-%F "x".csv', "--job", "nights", BULK_SYNC_API="a b%").text
    units(text, folder)
    paths = [str(folder / name) for name in NAMES]
    ended = shell(["/usr/bin/systemd-analyze", "verify", "--man=no", *paths], tmp_path, {})
    assert (ended.returncode, ended.stdout) == (0, "")
    service = str(folder / "bulk-sync-nights.service")
    words = ["security", "--no-pager", "--offline=yes", service]
    ended = shell(["/usr/bin/systemd-analyze", *words], tmp_path, {})
    found = re.search(r"exposure level for .*: ([\d.]+)", ended.stdout)
    assert found is not None, ended.stdout
    assert float(found[1]) < 2.0  # of 10; it was 1.5
