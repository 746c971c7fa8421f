"""What the templates of the recipes are filled with."""

import re
import sys
from datetime import UTC, datetime, time
from pathlib import Path
from shlex import quote
from typing import Any, Final

from bulk_sync import __version__
from bulk_sync.cli import escapes
from bulk_sync.cli.machine import SECRETS_FOLDER, Machine, SecretFile
from bulk_sync.cli.options import run_options
from bulk_sync.cli.options.deployment_options import CA_FILE, METRICS_FILE, STATE_DIR, STATE_URL
from bulk_sync.cli.options.option import variable
from bulk_sync.errors import UsageProblem
from bulk_sync.remote import url
from bulk_sync.storage import lock

_NO_INPUT: Final = "/path/to/optouts-%Y-%m-%d.csv"
_SHARED_STATE: Final = Path("/var/lib")
_DATA: Final = "/var/lib/bulk-sync"
"""Where a service and a pod keep runs, and a pod its reports too."""

_POD_SECRETS: Final = "/run/secrets/bulk-sync"
_POD_JOBS: Final = ("tonight", "resume")
_POD_CONFIG: Final = "/etc/bulk-sync"
_FILES_OF_POD: Final = (run_options.PROTECT, CA_FILE)
"""Options with a file of this machine that a pod needs too; it gets them as it gets secrets."""

_NO_SHELL: Final = (
    "The jobs use a bucket, and get no variables of this shell. Let them find its credentials: "
    "bulk-sync help remote"
)

_NO_QUERY: Final = (
    "What the URL of the file holds besides its place (user, password, query) may be a secret, so "
    "it is left out. If the web server needs it, write it in where only the job can read it."
)

_OUTPUT: Final = ("-q", "--summary", "json")
_OF_MONITORING: Final = ("alerts", "dashboard")
_OF_JOBS: Final = ("cron", "systemd", "kubernetes")


def collect(machine: Machine, name: str) -> dict[str, Any]:
    """Return the facts for a recipe; raise UsageProblem if an option cannot stand in it."""
    at: time = machine.values["at"]
    job = _job(machine) if name in _OF_MONITORING else None
    facts = {
        "at": at,
        "resume_hours": sorted({(at.hour - 1) % 24, (at.hour + 4) % 24}),
        "period_s": round(machine.values["period"]),
        "job": job,
        "selector": _selector(job),
        "unit": "-".join(filter(None, ("bulk-sync", _slug(machine.given(run_options.JOB))))),
        "version": __version__,
        "image": f"bulk-sync:{__version__}",
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "home": "/opt/bulk-sync",
        "data": _DATA,
        "secrets_folder": _POD_SECRETS,
        "folder": machine.folder,
        "uses_bucket": _uses_bucket(machine),
        "missing": [],
    }
    if name in _OF_JOBS:
        facts["missing"] = list(machine.missing())
        if facts["uses_bucket"]:
            facts["missing"].append(_NO_SHELL)
        source = machine.values["input"]
        if source and url.is_url(source) and url.without_secrets(source) != source:
            facts["missing"].append(_NO_QUERY)
        if source is None:
            facts["missing"].append(
                f"Name the nightly file, such as: bulk-sync recipe {name} '{_NO_INPUT}'"
            )
    more = {"cron": _crontab, "systemd": _service, "kubernetes": _pod}.get(name)
    return facts | (more(machine, facts) if more else {})


def _commands(machine: Machine) -> dict[str, list[str]]:
    """Return the words of both jobs, without the program; the second one may hold a date."""
    job = machine.given(run_options.JOB)
    named = ["--job", job] if job else []
    return {
        "tonight": ["run", _input(machine), *named, *machine.waiting, *_OUTPUT],
        "resume": ["resume", "--all", *machine.waiting, *_OUTPUT],
    }


def _in_shell(program: list[str], words: list[str]) -> str:
    """Return a command as sh has it; it fills in the date of the day."""
    command, last, *rest = words
    return " ".join([*map(quote, program), command, escapes.shell_word(last), *map(quote, rest)])


def _crontab(machine: Machine, _facts: dict[str, Any]) -> dict[str, Any]:
    program = machine.program
    start = [Path(program[0]).name] if len(program) == 1 else program
    given = {each.variable: each.path for each in machine.secrets() if not each.configured}
    return {
        "mail_to": machine.values["mail_to"],
        "path": f"{Path(program[0]).parent}:/usr/bin:/bin",
        "variables": machine.variables() | given,
        **{job: _in_shell(start, words) for job, words in _commands(machine).items()},
    }


def _service(machine: Machine, _facts: dict[str, Any]) -> dict[str, Any]:
    program = machine.program
    state = machine.state_folder if machine.texts(STATE_DIR) else Path(_DATA)
    variables = machine.variables()
    if not machine.configured("state_dir"):
        variables[variable("state_dir")] = str(state)
    is_shared = state.is_relative_to(_SHARED_STATE)
    reports = [path.parent for path in machine.paths(run_options.REPORT)] or [machine.folder]
    metrics = [path.parent for path in machine.paths(METRICS_FILE)]
    writable = [*reports, *metrics, *([] if is_shared else [state])]
    every = [*writable, machine.folder, Path(_input(machine)), Path(program[0])]
    every += [machine.config] if machine.config else []
    user = lock.user()
    return {
        **{job: _exec_start(program, words) for job, words in _commands(machine).items()},
        "user": "bulk-sync" if user == "root" else user,
        "variables": variables,
        "secrets": machine.secrets(),
        "state_directory": str(state.relative_to(_SHARED_STATE)) if is_shared else "",
        "writable": list(dict.fromkeys(map(str, writable))),
        "is_in_home": any(_is_below(each, "/home", "/root", "/run/user") for each in every),
        "is_in_tmp": any(_is_below(each, "/tmp", "/var/tmp") for each in every),  # noqa: S108
    }


def _exec_start(program: list[str], words: list[str]) -> str:
    if escapes.has_date(words[1]):
        program, words = ["/bin/sh", "-c"], [f"exec {_in_shell(program, words)}"]
    return " ".join(map(escapes.systemd_argument, [*program, *words]))


def _pod(machine: Machine, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts for Kubernetes: the configuration goes along, and files as secrets."""
    if exposed := machine.exposed():
        named = ", ".join(each.replace("_", "-") for each in exposed)
        raise UsageProblem(
            f"{machine.config} holds secrets itself ({named}), and the recipe would print them. "
            "Put each into a file, and name that, such as client-secret-file."
        )
    secrets = machine.secrets()
    if all(each.option != "ledger" for each in secrets):
        path = str(SECRETS_FOLDER / "ledger")
        secrets.append(SecretFile("ledger", path))
        facts["missing"].append(
            "The jobs share a ledger on PostgreSQL. Write its URL, such as "
            "postgresql://USER:PASSWORD@HOST/NAME, into a file: "
            f"install -D -m 600 /dev/stdin {path}"
        )
    variables = machine.variables() | {
        variable("state_dir"): _DATA,
        variable("log_format"): "json",
        "HOME": _DATA,
    }
    if not any(map(url.is_url, machine.texts(run_options.REPORT))):
        variables[variable("report")] = f"{_DATA}/{{run_id}}.csv"
    variables |= {each.variable: f"{_POD_SECRETS}/{each.name}" for each in secrets}
    if machine.config is not None:
        variables[variable("config")] = f"{_POD_CONFIG}/{machine.config.name}"
    if machine.paths(METRICS_FILE):
        variables[variable("metrics_file")] = f"{_DATA}/metrics.prom"
    files: dict[str, object] = {each.name: each.path for each in secrets}
    for option in _FILES_OF_POD:
        own = {_key(option.key, n, path): path for n, path in enumerate(machine.paths(option))}
        if own:
            variables[variable(option.key)] = ":".join(f"{_POD_SECRETS}/{name}" for name in own)
        files |= own
    is_apart = bool(machine.texts(STATE_URL))
    return {
        **{job: _pod_command(words) for job, words in _commands(machine).items()},
        "variables": dict(sorted(variables.items())),
        "files": {name: quote(escapes.one_line(str(path))) for name, path in files.items()},
        "config_name": machine.config.name if machine.config else "",
        "config_text": machine.config.read_text("utf-8-sig").strip("\n") if machine.config else "",
        "config_folder": _POD_CONFIG,
        "input_folder": _folder_of(_input(machine)),
        "claims": {job: f"bulk-sync-{job}" if is_apart else "bulk-sync" for job in _POD_JOBS},
    }


def _uses_bucket(machine: Machine) -> bool:
    places = [machine.values["input"] or "", *machine.texts(run_options.REPORT)]
    places += machine.texts(STATE_URL)
    return any(each.partition("://")[0].lower() in url.BUCKETS for each in places)


def _key(option: str, number: int, path: Path) -> str:
    """Return the name of a file in a secret: its suffix decides how it is read."""
    return f"{option}-{number}" + re.sub(r"[^\w.]", "", "".join(path.suffixes))


def _pod_command(words: list[str]) -> list[str]:
    if escapes.has_date(words[1]):
        made = ["/bin/sh", "-c", f"exec {_in_shell(['bulk-sync'], words)}"]
    else:
        made = ["bulk-sync", *map(escapes.one_line, words)]
    return [word.replace("$(", "$$(") for word in made]  # else Kubernetes looks for a variable


def _folder_of(source: str) -> str:
    """Return the folder to mount for an input; empty for a URL."""
    if url.is_url(source):
        return ""
    if Path(source).is_dir():
        return source
    folder = Path(source).parent
    while escapes.has_date(str(folder)) or re.search(r"[*?[]", str(folder)):
        folder = folder.parent
    if folder == folder.parent:
        raise UsageProblem(f"{source} lies at the top: a volume needs a folder of its own.")
    return str(folder)


def _input(machine: Machine) -> str:
    source = machine.values["input"]
    if source is None:
        return _NO_INPUT
    if not source:
        raise UsageProblem("INPUT is empty; an unset variable, perhaps. Name the nightly file.")
    if source == "-":
        raise UsageProblem("A job at night has no standard input: name a file, a folder or a glob.")
    if url.is_url(source):
        return url.without_secrets(source)
    return str(machine.folder / Path(source).expanduser())


def _job(machine: Machine) -> str | None:
    if job := machine.given(run_options.JOB):
        return job
    if machine.values["input"] is None:
        return None
    from bulk_sync.cli.arguments import job_name
    from bulk_sync.runs import Input

    source = _input(machine)
    if escapes.has_date(source):
        source = datetime.now(UTC).astimezone().strftime(source)
    return job_name(Input(source))


def _selector(job: str | None) -> str:
    """Return the job as a label of PromQL; without one, every job but audits and todo files."""
    if job is None:
        return '{sync_job!~"audit of .*|.*[.]todo"}'
    return "{sync_job=" + escapes.as_json(escapes.one_line(job)) + "}"


def _slug(job: str) -> str:
    """Return the name of a job as units and Kubernetes may have it."""
    return re.sub(r"[^a-z0-9]+", "-", job.lower()).strip("-")[:24].rstrip("-")


def _is_below(path: Path, *folders: str) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
