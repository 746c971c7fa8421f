"""``bulk-sync recipe kubernetes`` and ``container``: objects that fit, commands that work."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import populate, write_states
from printed import PROGRAM, SECRET, configuration, errors_in, recipe, shell, today

from bulk_sync import __version__, signals
from bulk_sync.simulator import Options, running

ROOT = Path(__file__).parents[2]


def objects(text: str) -> dict[str, Any]:
    return {each["metadata"]["name"]: each for each in yaml.safe_load_all(text)}


def pod(cron_job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


MISTAKES = {
    "concurrencyPolicy": "concurencyPolicy",
    "Forbid": "Forbidden",
    "backoffLimit: 0": "backoffLimit: none",
    "readOnlyRootFilesystem": "readOnlyRoot",
}


def test_the_objects_fit_the_schema_and_each_mistake_in_them_is_found(tmp_path: Path) -> None:
    every, wrong, text = [], [], ""
    for source, config in (
        ("/in/x.csv", ""),
        ("/in/%F x.csv", 'protect = "p.csv"\nca-file = "ca.pem"'),
        ("s3://in/x.csv", "\n   \nmax-opt-ins = 0\n\n[job.x]\nmetrics-file = 'm.prom'"),
    ):
        if config:
            (tmp_path / "bulk-sync.toml").write_text(config)
        text = recipe(tmp_path, "kubernetes", source, "--job", "Opt outs").text
        found = [*objects(text).values()]
        assert [each["kind"] for each in found] == ["ConfigMap"] * bool(config) + ["CronJob"] * 2
        if config:
            assert found[0]["data"] == {"bulk-sync.toml": config.strip("\n") + "\n"}
        every += found
    for right, mistake in MISTAKES.items():
        assert right in text
        wrong.append(objects(text.replace(right, mistake))["bulk-sync-opt-outs-tonight"])
    verdicts = errors_in([*every, *wrong], [], tmp_path)["objects"]  # once: the compiler takes long
    assert verdicts[: len(every)] == [[] for _ in every]
    assert all(verdicts[len(every) :])


def test_a_pod_ends_in_time_writes_only_to_its_volumes_and_is_not_restarted(tmp_path: Path) -> None:
    for cron_job in objects(recipe(tmp_path, "kubernetes", "/in/x.csv").text).values():
        spec, inside = cron_job["spec"], pod(cron_job)
        assert spec["concurrencyPolicy"] == "Forbid"
        assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
        assert inside["restartPolicy"] == "Never"
        assert inside["terminationGracePeriodSeconds"] > signals._END_WITHIN_S + 2
        assert inside["securityContext"]["runAsNonRoot"]
        (container,) = inside["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in inside["volumes"]}


@pytest.mark.parametrize("source", ["in/x.csv", "in/%F it's.csv"], ids=["plain", "dated"])
def test_the_commands_work_with_the_variables_and_files_of_the_pod(
    tmp_path: Path, source: str, new_database: Callable[[], str]
) -> None:
    home, inside = tmp_path / "home", tmp_path / "pod"
    (home / "in").mkdir(parents=True)
    for name in ("data", "secrets", "config"):
        (inside / name).mkdir(parents=True)
    with running(Options(client_secret=SECRET)) as sim:
        populate(sim, 3)
        own = ('client-secret-file = "s"', 'protect = "p.csv"')
        path = configuration(home, sim.url, home / "s", *own)
        found = objects(recipe(home, "kubernetes", source).text)
        name = today(source)
        write_states(home / name, 3)
        (inside / "config" / path.name).write_text(found["bulk-sync"]["data"][path.name])
        secrets = {"client-secret": SECRET, "ledger": new_database(), "protect-0.csv": "@other\n"}
        for name, text in secrets.items():
            (inside / "secrets" / name).write_text(text)
        for job, expected in (("tonight", '"updated":3'), ("resume", "nothing to resume")):
            (container,) = pod(found[f"bulk-sync-{job}"])["containers"]
            places = {
                "/var/lib/bulk-sync": str(inside / "data"),
                "/run/secrets/bulk-sync": str(inside / "secrets"),
                "/etc/bulk-sync": str(inside / "config"),
            }
            variables = {each["name"]: each["value"] for each in container["env"]}
            for there, here in places.items():
                variables = {key: each.replace(there, here) for key, each in variables.items()}
            variables["PATH"] = f"{PROGRAM.parent}:/usr/bin:/bin"
            words = [word.replace("$$(", "$(") for word in container["command"]]
            ended = shell(words, inside / "data", variables)
            assert ended.returncode == 0, ended.stdout
            assert expected in ended.stdout
    assert len(list((inside / "data").glob("*.csv"))) == 1
    assert not list((inside / "data").glob("*.sqlite*"))


def test_the_secret_is_made_of_files_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "job of the night, $HOME"
    folder.mkdir()
    (folder / "bulk-sync.toml").write_text('client-secret-file = "it\'s"\nprotect = "vip 1.csv"\n')
    text = recipe(folder, "kubernetes", "/in/x.csv").text
    lines = [line.strip("# \\") for line in text.splitlines() if "--from-file" in line]
    assert [shlex.split(line) for line in (lines[0], lines[-1])] == [
        [f"--from-file=client-secret={folder}/it's"],
        [f"--from-file=protect-0.csv={folder}/vip 1.csv"],
    ]


def test_jobs_with_checkpoints_in_a_bucket_share_no_volume(tmp_path: Path) -> None:
    found = []
    for words in ((), ("--state-url", "s3://state/folder")):
        text = recipe(tmp_path, "kubernetes", "s3://in/x.csv", *words).text
        for cron_job in objects(text).values():
            (claim,) = (each["persistentVolumeClaim"] for each in volumes(cron_job))
            assert claim["claimName"] in text.partition("apiVersion")[0]
            found.append((claim["claimName"], environment(cron_job).get("BULK_SYNC_STATE_URL")))
    url = "s3://state/folder"
    assert found[:2] == [("bulk-sync", None)] * 2
    assert found[2:] == [("bulk-sync-tonight", url), ("bulk-sync-resume", url)]


@pytest.mark.parametrize("place", ["", "input", "report", "configured report", "state-url"])
def test_pods_that_use_a_bucket_get_its_credentials_from_a_secret_if_there_is_one(
    place: str, tmp_path: Path
) -> None:
    url = "s3://place/{run_id}.csv"
    words = ["--state-url", url] if place == "state-url" else []
    if place == "configured report":
        (tmp_path / "bulk-sync.toml").write_text(f'[job.x]\nreport = ["{url}"]\n')
    report = url if place == "report" else ""
    source = "s3://in/x.csv" if place == "input" else "/in/x.csv"
    printed = recipe(tmp_path, "kubernetes", source, *words, BULK_SYNC_REPORT=report)
    named = {"name": "bulk-sync-cloud", "optional": True}
    for name in ("bulk-sync-tonight", "bulk-sync-resume"):
        (container,) = pod(objects(printed.text)[name])["containers"]
        assert container.get("envFrom") == ([{"secretRef": named}] if place else None)
    made = "kubectl create secret generic bulk-sync-cloud --from-env-file="
    assert (made in printed.text) == bool(place)
    assert ("Let them find its credentials" in printed.hints) == bool(place)


@pytest.mark.parametrize("is_configured", [False, True])
def test_a_report_in_a_bucket_stays_in_the_bucket(is_configured: bool, tmp_path: Path) -> None:
    url = "s3://archive/{run_id}.csv"
    if is_configured:
        (tmp_path / "bulk-sync.toml").write_text(f'report = ["{url}"]\n')
    given = "" if is_configured else url
    text = recipe(tmp_path, "kubernetes", "s3://in/x.csv", BULK_SYNC_REPORT=given).text
    for name in ("bulk-sync-tonight", "bulk-sync-resume"):
        report = environment(objects(text)[name]).get("BULK_SYNC_REPORT")
        assert report == (None if is_configured else url)
    assert url in text


def volumes(cron_job: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in pod(cron_job)["volumes"] if "persistentVolumeClaim" in each]


def environment(cron_job: dict[str, Any]) -> dict[str, str]:
    (container,) = pod(cron_job)["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def test_a_configuration_with_a_secret_in_it_is_not_printed(tmp_path: Path) -> None:
    (tmp_path / "bulk-sync.toml").write_text('[job.x]\nping = "https://hc.example.com/f00"\n')
    printed = recipe(tmp_path, "kubernetes", "/in/x.csv", status=2)
    assert printed.text == ""
    assert "(ping)" in printed.hints
    assert "f00" not in printed.hints


def test_the_container_file_has_two_stages_and_no_root(tmp_path: Path) -> None:
    text = recipe(tmp_path, "container").text.replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line and line[0] != "#"]
    stages = [number for number, (word, _) in enumerate(lines) if word == "FROM"]
    assert stages == [0, 4]
    build, final = lines[:4], lines[4:]
    words = " ".join(value for _, value in build)
    assert f"bulk_sync-{__version__}-py3-none-any.whl" in words
    assert (ROOT / "requirements.lock").is_file()
    assert "--only-binary :all:" in words
    settings = dict(final)
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", settings["USER"])
    assert settings["VOLUME"] in settings["ENV"]
    assert not re.search(r"apt|gcc|pip install", " ".join(value for _, value in final))
    assert settings["ENTRYPOINT"] == '["bulk-sync"]'


def test_the_jobs_use_the_image_of_the_container_file(tmp_path: Path) -> None:
    container = recipe(tmp_path, "container").text
    for cron_job in objects(recipe(tmp_path, "kubernetes", "/in/x.csv").text).values():
        inside = pod(cron_job)
        (each,) = inside["containers"]
        assert f"podman build -t {each['image']} ." in container
        assert f"USER {inside['securityContext']['runAsUser']}:" in container
        assert f"VOLUME {each['workingDir']}" in container
