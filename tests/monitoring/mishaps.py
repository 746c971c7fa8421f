"""The events of a nightly job: each function prepares a night, and names its exit status.

The causes of a night are repaired in the morning, at the end of ``Machine.around``.
"""

import gzip
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from conftest import Ran, before_answer, key, signal_before_answer
from nights import EVER, KILLED, OFF, ROWS, SECRET, Machine
from sqlalchemy import create_engine, make_url, text

from bulk_sync.settings import Connection, Credentials, Secret
from bulk_sync.simulator import Fault
from bulk_sync.storage import lock

Arrange = Callable[[Machine], None]
ONE_BY_ONE = ("--concurrency", 1)


def good(machine: Machine) -> None:
    machine.write({key(number): not machine.wanted[key(number)] for number in range(4)})


def again(machine: Machine) -> None:
    machine.write({})


def throttled(machine: Machine) -> None:
    good(machine)
    machine.sim.queue_fault(Fault.THROTTLED_429, "PATCH")


def no_pings(machine: Machine) -> None:
    good(machine)
    (machine.folder / "ping").write_text("http://127.0.0.1:9/s3cret-uuid")
    machine.around.callback((machine.folder / "ping").write_text, machine.pings.url)


def missing(machine: Machine) -> None:
    good(machine)
    machine.delay_file()


def empty(machine: Machine) -> None:
    missing(machine)
    machine.file.touch()


def packed(machine: Machine) -> None:
    good(machine)
    whole = gzip.compress(machine.file.read_bytes())
    machine.file = machine.file.with_name(f"{machine.file.name}.gz")
    machine.file.write_bytes(whole)
    machine.delay_file()
    machine.file.write_bytes(whole[: len(whole) // 2])


def short(machine: Machine) -> None:
    missing(machine)
    machine.write_rows(f"{key(number)},true" for number in range(5))


def inverted(machine: Machine) -> None:
    missing(machine)
    machine.write_rows(f"{each},{int(not state)}" for each, state in machine.wanted.items())


def strangers(machine: Machine) -> None:
    missing(machine)
    machine.write_rows(f"@{'z' * 80}{number},true" for number in range(ROWS))


def opt_ins(machine: Machine) -> None:
    opted_out = [each for each, state in machine.wanted.items() if state]
    machine.write(dict.fromkeys(opted_out[:11], False))


def held(machine: Machine) -> None:
    opt_ins(machine)
    machine.options = ("--hold-opt-ins",)


def wrong_rows(machine: Machine) -> None:
    good(machine)
    machine.file.write_text(machine.file.read_text().replace(",true", ",perhaps", 1))


def late_row(machine: Machine) -> None:
    machine.write({key(ROWS - 1): True})
    machine.write_rows(
        (
            f"{each},perhaps,2026-09-15" if each == key(ROWS - 1) else f"{each},{int(state)},"
            for each, state in machine.wanted.items()
        ),
        "PKey,ccpaOptOut,Request date",
    )


def failing(machine: Machine) -> None:
    good(machine)
    machine.options = ("--fetch", "lookup", "--retries", 1)
    machine.sim.queue_fault(Fault.TRANSIENT_500, "PATCH", EVER, key(0)[1:])
    machine.around.callback(machine.sim.clear)


def wrong_secret(machine: Machine) -> None:
    good(machine)
    (machine.folder / "client-secret").write_text("an-older-one")
    machine.around.callback((machine.folder / "client-secret").write_text, SECRET)


def denied(machine: Machine) -> None:
    good(machine)
    options, machine.options = machine.sim.options, ONE_BY_ONE

    def change() -> None:
        machine.sim.options = replace(options, client_secret="a newer one")
        machine.sim.revoke_tokens()

    before_answer(machine.sim, "PATCH", 1, change)
    machine.around.callback(setattr, machine.sim, "options", options)


def down(machine: Machine) -> None:
    good(machine)
    machine.options = ("--patience", 0.1)
    machine.sim.queue_fault(Fault.RESET, times=EVER)
    machine.is_mended = False


def down_again(machine: Machine) -> None:
    down(machine)
    machine.is_mended = True
    machine.around.callback(machine.sim.clear)


def goes_down(machine: Machine) -> None:
    good(machine)
    machine.options = (*ONE_BY_ONE, "--patience", 0.1)
    before_answer(machine.sim, "PATCH", 1, lambda: machine.sim.queue_fault(Fault.RESET, times=EVER))
    machine.around.callback(machine.sim.clear)


def budget(machine: Machine) -> None:
    good(machine)
    machine.options = ("--fetch", "lookup", "--max-calls", 10)


def overlap(machine: Machine) -> None:
    good(machine)
    connection = Connection(machine.sim.url, "acme", Credentials("k", access_token=Secret("t")))
    holder = lock.hold(machine.folder / "state", lock.name(connection), "another run")
    machine.around.enter_context(holder)


def terminated(machine: Machine) -> None:
    good(machine)
    machine.options = ONE_BY_ONE
    signal_before_answer(machine.sim, "PATCH", 1)


def wait_for_end(machine: Machine, process: "subprocess.Popen[str]") -> Ran:
    with process:
        assert process.stderr is not None
        err = process.stderr.read()
    return Ran(process.returncode, "", err, machine.folder)


def killed(machine: Machine) -> None:
    def program(machine: Machine) -> Ran:
        before_answer(machine.sim, "PATCH", 1, lambda: process.kill())
        process = machine.start()
        return wait_for_end(machine, process)

    good(machine)
    machine.options = ONE_BY_ONE
    machine.program = program


def may_mount() -> bool:
    """Return whether this user may mount own disks."""
    if shutil.which("unshare") is None:
        return False
    return not subprocess.run(own_mounts("mount -t tmpfs tmpfs /mnt"), check=False).returncode


def own_mounts(script: str, *words: object) -> tuple[str, ...]:
    """Return the beginning of a command with own disks."""
    unshare, shell = str(shutil.which("unshare")), str(shutil.which("sh"))
    return (unshare, "-rm", shell, "-c", script, shell, *map(str, words))


FULL = """
state=$1 keep=$2; shift 2
mount --bind "$state" "$keep" && mount -t tmpfs -o size=4m tmpfs "$state" || exit 99
cp -a "$keep/." "$state"
$FILL
"$@"; code=$?
rm -f "$state/filler"; find "$keep" -mindepth 1 -delete; cp -a "$state/." "$keep"; exit $code
"""
FILL = 'dd if=/dev/zero of="$state/filler" bs=4k 2>/dev/null'


def full(machine: Machine, *, at_the_start: bool) -> None:
    process: subprocess.Popen[str]

    def fill() -> None:
        """Fill the disk of the other process."""
        state = Path(f"/proc/{process.pid}/root{machine.folder}/state")
        with (state / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def program(machine: Machine) -> Ran:
        nonlocal process
        (machine.folder / "keep").mkdir(exist_ok=True)
        script = FULL.replace("$FILL", FILL if at_the_start else "")
        if not at_the_start:
            before_answer(machine.sim, "PATCH", 1, fill)
        process = machine.start(
            own_mounts(script, machine.folder / "state", machine.folder / "keep")
        )
        return wait_for_end(machine, process)

    good(machine)
    machine.options = ONE_BY_ONE
    machine.program = program


def full_at_the_start(machine: Machine) -> None:
    full(machine, at_the_start=True)


def full_on_the_way(machine: Machine) -> None:
    full(machine, at_the_start=False)


def read_only(machine: Machine) -> None:
    script = 'mount -t tmpfs -o ro tmpfs "$1" || exit 99; shift; exec "$@"'

    def program(machine: Machine) -> Ran:
        return wait_for_end(machine, machine.start(own_mounts(script, machine.folder / "archive")))

    good(machine)
    machine.program = program


def no_database(machine: Machine) -> None:
    good(machine)
    url = make_url(machine.database)
    real, shown = Path(str(url.query["host"])), machine.folder / "socket"
    shown.unlink(missing_ok=True)
    shown_url = url.update_query_dict({"host": str(shown)})
    machine.patch.setenv("BULK_SYNC_LEDGER", shown_url.render_as_string(hide_password=False))
    machine.around.callback(machine.link_database, real)


def loses_database(machine: Machine) -> None:
    def hang_up() -> None:
        shown.unlink()
        engine = create_engine(
            make_url(machine.database).set(drivername="postgresql+psycopg"),
            isolation_level="AUTOCOMMIT",
        )
        with engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        engine.dispose()

    no_database(machine)
    machine.options = ONE_BY_ONE
    shown = machine.folder / "socket"
    machine.link_database(Path(str(make_url(machine.database).query["host"])))
    before_answer(machine.sim, "PATCH", 1, hang_up)


def off(machine: Machine) -> None:
    good(machine)
    machine.program = lambda machine: Ran(OFF, "", "", machine.folder)


MOUNTING = {full_at_the_start, full_on_the_way, read_only}

# The event as in the manual; its function; the exit status.
NIGHTS: dict[str, tuple[Arrange, int]] = {
    "nothing special": (good, 0),
    "yesterday's file again": (again, 0),
    "Campaign throttles": (throttled, 0),
    "the ping service fails": (no_pings, 0),
    "no file": (missing, 2),
    "an empty file": (empty, 2),
    "a packed file that was cut off": (packed, 2),
    "the report folder is read-only": (read_only, 2),
    "some rows cannot be read": (wrong_rows, 3),
    "... and one is overdue": (late_row, 3),
    "Campaign fails for some rows": (failing, 3),
    "eleven opt-ins, with `--hold-opt-ins`": (held, 3),
    "eleven opt-ins": (opt_ins, 4),
    "a text file that was cut off": (short, 4),
    "a file with the opposite states": (inverted, 4),
    "a file of another instance": (strangers, 4),
    "a wrong secret": (wrong_secret, 5),
    "the secret is replaced during the run": (denied, 5),
    "Campaign is away": (down, 6),
    "... and the next night, too": (down_again, 6),
    "Campaign goes away during the run": (goes_down, 6),
    "`--max-calls` are spent": (budget, 6),
    "the disk is full": (full_at_the_start, 6),
    "the disk gets full during the run": (full_on_the_way, 6),
    "another run is at work": (overlap, 11),
    "the machine shuts down (SIGTERM)": (terminated, 143),
    "`kill -9`, a power cut": (killed, KILLED),
    "the machine was off": (off, OFF),
    "the ledger's PostgreSQL is away": (no_database, 6),
    "... or goes away during the run": (loses_database, 6),
}
