"""Inputs in buckets and on the web: read once, by each cloud's rules, refused if they change."""

import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from buckets import SECRET, Bucket, every_byte
from conftest import Ran, Run, key, populate
from web_server import USER, Web, serving

from bulk_sync.remote.url import without_secrets
from bulk_sync.simulator import Simulator

QUERY = "X-Amz-Signature=s3cretquery"


def csv(first: int, last: int) -> str:
    lines = [f"{key(number)},true" for number in range(first, last)]
    return "\n".join(["PKey,ccpaOptOut", *lines, ""])


@pytest.fixture
def filled(sim: Simulator) -> Simulator:
    populate(sim, 9)
    return sim


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        web.content = csv(0, 5).encode()
        yield web


def recorded_facts(run: Run, ran: Ran) -> dict[str, Any]:
    """Return the facts of a run in the ledger."""
    return dict(json.loads(run(None, "runs", ran.summary["run_id"], "--json").out))


def recorded_files(run: Run) -> list[dict[str, str]]:
    """Return the files of the newest run, by the ledger."""
    (newest,) = json.loads(run(None, "runs", "--last", "1", "--json").out)
    return list(newest["settings"]["downloaded"])


def test_the_ledger_has_the_etag_and_sha256_of_the_file(
    filled: Simulator, run: Run, bucket: Bucket
) -> None:
    url = bucket.put("2026-11-28/opt outs 7.csv", csv(0, 5))
    ran = run(filled, "run", url, "--summary", "json")
    assert (ran.status, ran.outcomes) == (0, ["updated"] * 5)
    assert (ran.summary["input"], ran.summary["job"]) == (url, "opt outs")
    (report,) = ran.folder.glob("*.results.csv")
    assert report.name.startswith("opt outs 7.2")
    digest = hashlib.sha256(csv(0, 5).encode()).hexdigest()
    facts = recorded_facts(run, ran)
    assert (facts["input"], facts["input_sha256"]) == (url, digest)
    etag = bucket.etag("2026-11-28/opt outs 7.csv")
    assert facts["settings"]["downloaded"] == [{"url": url, "etag": etag, "sha256": digest}]
    assert not list((ran.folder / "state" / "downloads").iterdir())


@pytest.mark.parametrize(
    ("source", "files"),
    [
        ("day/*.csv", ["1.csv", "2.csv.gz"][:1]),
        ("day/*.csv*", ["1.csv", "2.csv.gz"]),
        ("day/", ["1.csv", "2.csv.gz"]),
        ("*/*.csv", ["day/1.csv", "night/1.csv"]),
        ("**/*.csv", ["day/1.csv", "day/later/9.csv", "night/1.csv"]),
        ("d?y/[0-1].csv", ["day/1.csv"]),
    ],
)
def test_globs_and_folders_are_read_as_those_of_a_disk(
    source: str, files: list[str], filled: Simulator, run: Run, bucket: Bucket
) -> None:
    bucket.put("day/1.csv", csv(0, 2))
    bucket.put("day/2.csv.gz", gzip.compress(csv(2, 4).encode()))
    bucket.put("day/later/9.csv", csv(6, 8))
    bucket.put("day/notes.pdf", "no data")
    bucket.put("day/.hidden.csv", "no data")
    bucket.put("day/placeholder", "")
    bucket.put("day/1.20261128T235132Z-8ac159.results.csv", "a report")
    bucket.put("night/1.csv", csv(4, 6))
    ran = run(filled, "run", bucket / source)
    assert ran.status == 0, ran.err
    assert sorted({row["sync_file"] for row in ran.report}) == files
    etags = {each["url"]: each["etag"] for each in recorded_files(run)}
    assert etags == {url: bucket.etag(url.removeprefix(f"{bucket.url}/")) for url in etags}
    assert ("notes.pdf" in ran.err) == (source == "day/")
    assert "placeholder" not in ran.err


def test_a_workbook_is_checked_and_marked(run: Run, s3: Bucket) -> None:
    book = io.BytesIO()
    pd.DataFrame({"PKey": [key(0), key(1)], "ccpaOptOut": ["maybe", "yes"]}).to_excel(
        book, index=False, engine="xlsxwriter"
    )
    url = s3.put("requests.xlsx", book.getvalue())
    ran = run(None, "validate", url, "--report", "marked.xlsx")
    assert ran.status == 3
    assert "Correct the red cells in marked.xlsx" in ran.out
    assert str(ran.folder / "state") not in ran.out + ran.err


def test_messages_name_the_url_and_not_the_copy(run: Run, s3: Bucket) -> None:
    url = s3.put("odd.csv", "a,b,b\n1,2,3\n")
    ran = run(None, "validate", url)
    assert ran.status == 2
    assert url in ran.err
    assert "downloads" not in ran.err
    table = io.BytesIO()
    pd.DataFrame({"PKey": [key(0)], "ccpaOptOut": ["yes"]}).to_parquet(table)
    broken = s3.put("cut.parquet", table.getvalue()[:-9])
    ran = run(None, "validate", broken)
    assert ran.status == 2
    assert f"bulk-sync: {broken} is a Parquet file, but cut off" in ran.err
    book = io.BytesIO()
    with pd.ExcelWriter(book, engine="xlsxwriter") as writer:
        for sheet in ("Requests", "Others"):
            frame = pd.DataFrame({"PKey": [key(0)], "ccpaOptOut": ["yes"]})
            frame.to_excel(writer, sheet_name=sheet, index=False)
    two = s3.put("two.xlsx", book.getvalue())
    assert f"{two}: only the sheet 'Requests' was read" in run(None, "validate", two).err


@pytest.mark.parametrize("when", [1, 2], ids=["before it is read", "after it was read"])
@pytest.mark.parametrize("source", ["in.csv", "*.csv"])
def test_a_file_that_changes_meanwhile_is_refused(
    source: str, when: int, filled: Simulator, run: Run, s3: Bucket
) -> None:
    s3.put("in.csv", csv(0, 5))
    seen: list[str] = []
    change_at = when + 1  # HEAD, GET, and HEAD again

    def change(method: str, path: str) -> None:
        if method == "GET":
            seen.append(path)
            if len(seen) == change_at:
                s3.put("in.csv", csv(0, 6))

    s3.server.app.before = change
    ran = run(filled, "run", s3 / source)
    assert ran.status == 2
    assert "changed while it was read. Run again when it is complete; nothing was sent." in ran.err
    assert filled.requests == []


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (("403 Forbidden", "AccessDenied"), 2, "the store does not permit it"),
        (("403 Forbidden", "InvalidAccessKeyId"), 2, "does not accept the credentials"),
        (("400 Bad Request", "ExpiredToken"), 2, "does not accept the credentials"),
        (("301 Moved Permanently", "PermanentRedirect"), 2, "the bucket is in another region"),
        (("400 Bad Request", "AuthorizationHeaderMalformed"), 2, "in another region"),
        (("503 Slow Down", "SlowDown"), 6, "cannot be reached"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("source", ["in.csv", "*.csv"])
def test_each_refusal_of_a_store_has_a_message(
    source: str,
    answer: tuple[str, str],
    status: int,
    words: str,
    filled: Simulator,
    run: Run,
    s3: Bucket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bulk_sync.remote.store._RETRY", {"max_retries": 1})
    s3.put("in.csv", csv(0, 5))
    s3.server.app.answer = answer
    ran = run(filled, "run", s3 / source)
    assert (ran.status, words in ran.err) == (status, True), ran.err
    assert f"{s3 / source} " in ran.err
    assert filled.requests == []


@pytest.mark.parametrize("source", ["missing.csv", "missing/*.csv", "missing/"])
def test_a_missing_file_is_named(source: str, run: Run, bucket: Bucket) -> None:
    ran = run(None, "validate", bucket / source)
    assert ran.status == 2
    assert f"{bucket / source} " in ran.err
    assert "is not there. Check the name." in ran.err or "names no data file" in ran.err


@pytest.mark.parametrize("source", ["a.csv", "a/*.csv"])
def test_a_missing_bucket_is_named(source: str, run: Run, bucket: Bucket) -> None:
    ran = run(None, "validate", f"{bucket.url}-other/{source}")
    assert ran.status == 2
    assert "there is no such bucket" in ran.err


def test_a_folder_without_its_slash_is_explained(run: Run, bucket: Bucket) -> None:
    bucket.put("day/1.csv", csv(0, 2))
    ran = run(None, "validate", bucket / "day")
    assert ran.status == 2
    assert f"{bucket / 'day'} is a folder. To read its files, add a / at the end" in ran.err


def test_unknown_credentials_are_refused(run: Run, s3: Bucket) -> None:
    s3.put("in.csv", csv(0, 2))
    s3.server.forbid()
    ran = run(None, "validate", s3 / "in.csv")
    assert ran.status == 2
    assert "cannot be used: the store does not " in ran.err


def test_a_store_that_cannot_be_reached_is_exit_6(
    filled: Simulator, run: Run, s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk_sync.remote.store._RETRY", {"max_retries": 1})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    ran = run(filled, "run", s3 / "in.csv")
    assert ran.status == 6
    assert f"{s3 / 'in.csv'} cannot be reached" in ran.err


def test_without_credentials_the_message_says_so(
    run: Run, s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    ran = run(None, "validate", s3 / "in.csv")
    assert ran.status == 2
    assert "no credentials were found for it" in ran.err


def test_a_profile_of_aws_is_used(run: Run, s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Path("credentials")
    keys.write_text(
        f"[nightly]\naws_access_key_id = AKIANIGHTLY\naws_secret_access_key = {SECRET}\n"
    )
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys.absolute()))
    monkeypatch.setenv("AWS_PROFILE", "nightly")
    s3.server.app.requests.clear()
    assert run(None, "validate", s3.put("in.csv", csv(0, 2))).status == 0
    assert any("AKIANIGHTLY" in signed for signed in s3.server.app.signed)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host/in.csv", "is no URL of a file"),
        ("s3:///in.csv", "is no URL of a file"),
        ("https:///in.csv", "names no host"),
        ("http://example.com/in.csv?q=s3cretquery", "would be sent unencrypted"),
        ("http://example.com?x@127.0.0.1/in.csv", "would be sent unencrypted"),
        ("https://me:s3cret/query@example.com/in.csv", "names no host"),
        ("https://me:s3cretquery@example.com:x/in.csv", "names no host"),
    ],
)
def test_urls_that_cannot_be_read_are_explained(
    url: str, words: str, sim: Simulator, run: Run, tmp_path: Path
) -> None:
    for command in ("validate", "run"):
        ran = run(sim, command, url, "--summary", "json")
        assert (ran.status, words in ran.err) == (2, True), ran.err
        assert "s3cret" not in ran.out + ran.err
    assert b"s3cret" not in every_byte(tmp_path)


@pytest.mark.parametrize(
    ("whole", "shown"),
    [
        ("https://me:pa55@host:8443/a@b.csv?sig=1#x", "https://host:8443/a@b.csv"),
        ("https://me:p?5@host/in.csv", "https://host/in.csv"),
        ("https://me:p#5@host/in.csv", "https://host/in.csv"),
        ("https://me:pa/55@host/in.csv", "https://host/in.csv"),
        ("https://me@host/in.csv", "https://host/in.csv"),
        ("https://host:8443/a:b@c.csv", "https://host:8443/a:b@c.csv"),
        ("https://host:8443?q=a@b", "https://host:8443"),
        ("https://[::1]:8443/a@b.csv", "https://[::1]:8443/a@b.csv"),
        ("s3://key:secret@bucket/a@b.csv", "s3://bucket/a@b.csv"),
        ("s3://bucket/day?/[0-9]#.csv", "s3://bucket/day?/[0-9]#.csv"),
    ],
)
def test_a_url_is_shown_without_its_secrets(whole: str, shown: str) -> None:
    assert without_secrets(whole) == shown


def test_a_file_on_the_web_is_recorded_without_its_query(
    filled: Simulator, run: Run, web: Web, tmp_path: Path
) -> None:
    web.headers["ETag"] = '"abc"'
    signed = f"{web.url.replace('://', '://me:pass word@')}/day/opt%20outs.csv?{QUERY}"
    ran = run(filled, "run", signed, "--summary", "json", "-v")
    assert (ran.status, ran.outcomes) == (0, ["updated"] * 5), ran.err
    assert web.requests == [(f"/day/opt%20outs.csv?{QUERY}", USER)] * 2
    facts = recorded_facts(run, ran)
    assert facts["input"] == f"{web.url}/day/opt%20outs.csv"
    assert facts["settings"]["downloaded"][0]["etag"] == '"abc"'
    assert ran.summary["job"] == "opt outs"
    for secret in (QUERY, "s3cretquery", "pass word", "pass%20word"):
        assert secret not in ran.out + ran.err
        assert secret.encode() not in every_byte(tmp_path)


@pytest.mark.parametrize("words", [("run", "-n"), ("validate",)], ids=" ".join)
def test_the_next_command_has_a_url_without_its_query_and_says_so(
    words: tuple[str, ...], filled: Simulator, run: Run, web: Web
) -> None:
    ran = run(filled, *words, f"{web.url}/in.csv?{QUERY}")
    text, command = ran.out.splitlines()[-2:]
    assert text.endswith("(add the rest of the URL again; what may be secret is not shown):")
    assert command.endswith(f" {web.url}/in.csv")
    again = run(filled, *words, f"{web.url}/in.csv")
    assert "rest of the URL" not in again.out


def test_a_remedy_has_a_url_without_its_query_and_says_so(
    filled: Simulator, run: Run, web: Web
) -> None:
    web.content = web.content.replace(b"ccpaOptOut", b"Consent")
    ran = run(filled, "run", f"{web.url}/in.csv?{QUERY}")
    text, command = ran.err.splitlines()[-2:]
    assert text.endswith("(add the rest of the URL again; what may be secret is not shown):")
    assert command == f"  bulk-sync run {web.url}/in.csv --state-means opt-out"


@pytest.mark.parametrize("words", [("--bogus",), ("another.csv",), ("--key-column", "no")])
def test_a_refused_command_line_does_not_show_the_query(
    words: tuple[str, ...], filled: Simulator, run: Run, web: Web, tmp_path: Path
) -> None:
    signed = f"{web.url}/in.csv?{QUERY}"
    for line in ((signed, *words), (*words, signed)):
        ran = run(filled, "run", *line, "--log-format", "json", "--summary", "json")
        assert ran.status == 2
        assert "s3cretquery" not in ran.out + ran.err
    assert b"s3cretquery" not in every_byte(tmp_path)


@pytest.mark.parametrize(
    ("statuses", "status", "words"),
    [
        ([404], 2, "is not there. Check the URL."),
        ([403], 2, "The link may have expired"),
        ([401], 2, "wants other credentials"),
        ([418], 2, "the server answers 418"),
        ([202], 2, "is not ready: the server answers 202"),
        ([206], 2, "the server answers 206"),
        ([503, 429, 200], 0, "No row is rejected"),
        ([503], 6, "cannot be reached"),
    ],
)
def test_each_answer_of_a_web_server_has_a_message(
    statuses: list[int],
    status: int,
    words: str,
    run: Run,
    web: Web,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bulk_sync.remote.web._WAITS_S", (0.0, 0.0))
    web.statuses = statuses
    ran = run(None, "validate", f"{web.url}/in.csv?{QUERY}")
    assert (ran.status, words in ran.out + ran.err) == (status, True), ran.err


def test_a_file_of_unknown_length_is_read_and_a_truncated_one_refused(
    run: Run, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk_sync.remote.web._WAITS_S", (0.0,))
    web.is_chunked = True
    assert run(None, "validate", f"{web.url}/in.csv").status == 0
    web.is_chunked, web.headers = False, {"Content-Length": str(len(web.content) + 1)}
    assert run(None, "validate", f"{web.url}/in.csv").status == 6


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("opt outs.csv?q=a b", "opt%20outs.csv?q=a%20b"),
        ("é.csv?q=é&sig=a+b%2F%20", "%C3%A9.csv?q=%C3%A9&sig=a+b%2F%20"),
        ("%00.csv", "%00.csv"),
        ("%2e%2e%2fin.csv", "%2e%2e%2fin.csv"),
    ],
)
def test_odd_characters_of_a_url_are_quoted_and_signatures_stay(
    typed: str, sent: str, run: Run, web: Web, tmp_path: Path
) -> None:
    ran = run(None, "validate", f"{web.url}/{typed}")
    assert ran.status == 0, ran.err
    assert web.requests == [(f"/{sent}", "")]
    assert not list((tmp_path / "state" / "downloads").iterdir())


@pytest.mark.parametrize("location", ["http://files.example/in.csv", "ftp://127.0.0.1/in.csv"])
def test_no_redirect_leads_to_a_url_without_encryption(location: str, run: Run, web: Web) -> None:
    web.statuses, web.headers = [302], {"Location": location}
    ran = run(None, "validate", f"{web.url}/in.csv")
    assert (ran.status, len(web.requests)) == (2, 1)
    assert "leads to a URL without encryption. It was not read." in ran.err


def test_plain_http_never_goes_through_a_proxy(
    run: Run, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert run(None, "validate", f"{web.url}/in.csv?{QUERY}").status == 0
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("no_proxy", "requests"),
    [("", [("127.0.0.1:9", "Basic dXNlcjpwYTU1")]), ("127.0.0.1", [])],
    ids=["used", "left out"],
)
def test_a_proxy_sees_only_the_host_and_its_own_password(
    no_proxy: str, requests: list[tuple[str, str]], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk_sync.remote.web._WAITS_S", ())
    with serving() as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("://", "://user:pa55@"))
        monkeypatch.setenv("no_proxy", no_proxy)
        ran = run(None, "validate", f"https://me:secret@127.0.0.1:9/in.csv?{QUERY}")
    assert ran.status == 6, ran.err
    assert proxy.requests == requests


def test_a_file_on_the_web_that_changes_is_refused(run: Run, web: Web) -> None:
    web.headers["ETag"] = '"1"'
    web.before = lambda number: web.headers.update(ETag=f'"{number}"')
    ran = run(None, "validate", f"{web.url}/in.csv")
    assert ran.status == 2
    assert "changed while it was read" in ran.err


@pytest.mark.parametrize(
    ("head", "gets"),
    [({"ETag": '"1"'}, 1), (None, 2), ({}, 2), ({"ETag": '"1-gzip"'}, 2)],
    ids=["same", "no HEAD", "no ETag", "of another packing"],
)
def test_a_file_on_the_web_is_downloaded_once_if_the_server_knows_head(
    head: dict[str, str] | None, gets: int, run: Run, web: Web
) -> None:
    web.headers["ETag"] = '"1"'
    web.head = head
    assert run(None, "validate", f"{web.url}/in.csv").status == 0
    assert len(web.requests) == gets


def test_a_text_that_a_store_keeps_packed_is_read(run: Run, web: Web, bucket: Bucket) -> None:
    web.content = gzip.compress(web.content)
    web.headers["Content-Encoding"] = "gzip"
    for url in (f"{web.url}/in.csv", bucket.put("in.csv", web.content)):
        ran = run(None, "validate", url, "--summary", "json")
        assert ran.status == 0, ran.err
        assert ran.summary["rows"] == 5


def test_a_copy_that_a_killed_process_left_is_removed(run: Run, s3: Bucket) -> None:
    url = s3.put("in.csv", csv(0, 2))
    left = Path("state/downloads/left")
    left.mkdir(parents=True)
    (left / "in.csv").write_text("personal data")
    assert run(None, "validate", url).status == 0
    assert not left.exists()


@pytest.mark.parametrize(("allowed", "status"), [("", 2), ("true", 6)])
def test_an_address_that_is_not_encrypted_is_named_with_the_variable_that_allows_it(
    allowed: str, status: int, run: Run, monkeypatch: pytest.MonkeyPatch, filled: Simulator
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    if allowed:
        monkeypatch.setenv("AWS_ALLOW_HTTP", allowed)
    monkeypatch.setattr(
        "bulk_sync.remote.store._RETRY", {"max_retries": 0, "retry_timeout": timedelta(seconds=1)}
    )
    ran = run(filled, "run", "s3://in/x.csv")
    assert ran.status == status, ran.err
    assert ("set AWS_ALLOW_HTTP=true" in ran.err) == (status == 2)
