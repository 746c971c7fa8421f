"""``bulk-sync recipe alerts``, ``dashboard`` and ``oauth2-proxy``, and the list of recipes."""

import json
import re
import subprocess
import tomllib
from itertools import combinations, product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import debian
import pytest
import requests
import yaml
from conftest import Process
from printed import BARE, PROGRAM, errors_in, recipe, shell

from bulk_sync.cli.commands.recipe import RECIPES, title
from bulk_sync.errors import Exit
from bulk_sync.monitoring import metrics_file
from bulk_sync.web.identity import Role

GAUGES = {*metrics_file._GAUGES, metrics_file._BUILD}
ROOM = Path(__file__).parents[2] / "bulk_sync" / "recipes"


def rules(text: str) -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(text)["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions(name: str, folder: Path, *words: str) -> list[str]:
    text = recipe(folder, name, *words).text
    if name == "alerts":
        return [rule["expr"] for rule in rules(text)]
    return [each["expr"] for panel in json.loads(text)["panels"] for each in panel["targets"]]


def test_expressions_are_promql_over_metrics_that_exist(tmp_path: Path) -> None:
    every = []
    for name, words in product(("alerts", "dashboard"), ([], ["--job", 'a "b" \\ c'])):
        found = expressions(name, tmp_path, *words)
        named = set(re.findall(r"bulk_sync_\w+", " ".join(found)))
        assert named <= GAUGES
        assert len(named) >= 5
        every += found
    assert errors_in([], [*every, "up >"], tmp_path)["expressions"] == ["up >"]


def test_the_dashboard_shows_every_metric_but_two(tmp_path: Path) -> None:
    found = set(re.findall(r"bulk_sync_\w+", recipe(tmp_path, "dashboard").text))
    assert {metrics_file._BUILD} == GAUGES - found


def test_the_dashboard_has_a_word_for_every_exit_status(tmp_path: Path) -> None:
    panels = json.loads(recipe(tmp_path, "dashboard").text)["panels"]
    (panel,) = (each for each in panels if each["title"] == "Exit status of the last run")
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    assert mapping["options"].keys() == {str(int(each)) for each in Exit}


def test_panels_have_their_own_place(tmp_path: Path) -> None:
    dashboard = json.loads(recipe(tmp_path, "dashboard", "--job", 'a "b"').text)
    assert dashboard["schemaVersion"] >= 36
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    assert dashboard["templating"]["list"][1]["current"]["value"] == 'a "b"'


def test_audits_and_todo_files_raise_no_alert_unless_they_are_the_job(tmp_path: Path) -> None:
    others = '{sync_job!~"audit of .*|.*[.]todo"}'
    assert all(others in each for each in expressions("alerts", tmp_path))
    named = expressions("alerts", tmp_path, "x/audit-%F.csv")
    assert all('{sync_job="audit---"}' in each for each in named)


ALERTS = """
rule_files: [rules.yml]
evaluation_interval: 1h
tests:
    - interval: 1h
      input_series:
        - series: 'bulk_sync_last_run_timestamp_seconds{sync_job="a"}'
          values: '0x100'
        - series: 'bulk_sync_last_success_timestamp_seconds{sync_job="a"}'
          values: '0x100'
        - series: 'bulk_sync_last_run_exit_status{sync_job="a"}'
          values: '0 1 2 3 4 5 6 11 0 6 0x100'
        - series: 'bulk_sync_opt_outs_overdue{sync_job="a"}'
          values: '0 7 0x100'
        - series: 'bulk_sync_runs_to_resume{sync_job="a"}'
          values: '1x8 0 1x100'
      promql_expr_test:
"""
FIRING = {
    0: [],
    1: ["BulkSyncFailed", "BulkSyncOptOutsOverdue"],
    2: ["BulkSyncFailed"],
    3: ["BulkSyncNeedsPerson"],
    4: ["BulkSyncNeedsPerson"],
    5: ["BulkSyncFailed"],
    6: [],
    7: ["BulkSyncNeedsPerson"],
    8: [],
    9: ["BulkSyncNeedsPerson"],
    22: ["BulkSyncRunsToResume"],
    49: ["BulkSyncNoSuccess", "BulkSyncRunsToResume"],
}
"""The alerts firing after some hours."""


def alert_errors(folder: Path, firing: dict[int, list[str]]) -> str:
    """Return Prometheus's errors in a test of a folder's alerts: "" if it passes."""
    promtool = debian.program("promtool", "promtool", "prometheus")
    expected = [
        {
            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
            "eval_time": f"{hour}h",
            "exp_samples": [
                {"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing[hour]
            ],
        }
        for hour in firing
    ]
    test = yaml.safe_load(ALERTS)
    test["tests"][0]["promql_expr_test"] = expected
    (folder / "test.yml").write_text(yaml.safe_dump(test))
    for words in (["check", "rules", "rules.yml"], ["test", "rules", "test.yml"]):
        ended = shell([str(promtool), *words], folder, {})
        if ended.returncode:
            return ended.stdout
    return ""


def test_prometheus_raises_the_alerts(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(recipe(tmp_path, "alerts").text)
    assert alert_errors(tmp_path, FIRING) == ""
    wrong = alert_errors(tmp_path, FIRING | {6: ["BulkSyncFailed"], 22: []})
    assert re.findall(r"time: (\w+),", wrong) == ["6h", "22h"]


def test_alerts_wait_for_two_periods(tmp_path: Path) -> None:
    found = expressions("alerts", tmp_path, "--period", "6h")
    assert any(each.endswith("> 43200") for each in found)


def test_the_proxy_sends_the_headers_in_the_settings_of_the_page(tmp_path: Path) -> None:
    settings = tomllib.loads(recipe(tmp_path, "oauth2-proxy").text)
    assert settings["upstreams"] == ["http://127.0.0.1:8710/"]
    assert settings["pass_user_headers"]
    assert settings["allowed_groups"] == [*Role]
    assert not {"client_secret", "cookie_secret"} & settings.keys()


def test_the_page_that_the_recipe_starts_takes_people_from_the_proxy(tmp_path: Path) -> None:
    text = recipe(tmp_path, "oauth2-proxy").text
    host = urlsplit(tomllib.loads(text)["redirect_url"]).netloc
    comment = re.sub(r" \\\n# +", " ", text)
    (typed,) = re.findall(r"^#   bulk-sync (serve .*)$", comment, re.MULTILINE)
    words = [PROGRAM, *typed.replace("--port 8710", "--port 0").split()]
    own = {"HOME": str(tmp_path), "BULK_SYNC_ORGANIZATION": "acme", "BULK_SYNC_API_KEY": "k"}
    with Process(
        words, cwd=tmp_path, env={**BARE, **own}, stdout=subprocess.PIPE, text=True
    ) as page:
        assert page.stdout is not None
        url = re.sub(r"(?<=\d)/.*\s*", "/", page.stdout.readline())
        headers = {"Host": host, "X-Forwarded-Email": "ana@example.com"}
        request_headers = {**headers, "X-Forwarded-Groups": "staff,uploader"}
        answers = [
            requests.get(url, headers=each, allow_redirects=False, timeout=30)
            for each in (
                request_headers,
                {"Host": host},
                {**request_headers, "Host": "other.example.com"},
            )
        ]
        page.terminate()
    assert [answer.status_code // 100 for answer in answers] == [2, 3, 4]
    assert "ana@example.com" in answers[0].text
    assert "New upload" in answers[0].text


def test_every_recipe_is_listed_with_a_line_of_its_own(tmp_path: Path) -> None:
    assert {path.stem for path in ROOM.iterdir()} == set(RECIPES)
    listed = recipe(tmp_path).text
    for name in RECIPES:
        assert re.search(rf"^  {name} +{re.escape(title(name))}$", listed, re.MULTILINE)


@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_prints_a_secret_and_hints_stay_out_of_the_file(
    tmp_path: Path, name: str
) -> None:
    secrets = ("CLIENT_SECRET", "ACCESS_TOKEN", "LEDGER", "PING", "NOTIFY")
    given = {f"BULK_SYNC_{each}": f"https://u:hush-{each}@example.com" for each in secrets}
    printed = recipe(tmp_path, name, status=0, **given)
    assert "hush" not in printed.text + printed.hints
    assert printed.hints
    assert not set(printed.hints.splitlines()) & set(printed.text.splitlines())
