"""Settings refuse impossible values, and never show a secret."""

from dataclasses import replace

import pytest

from bulk_sync.errors import UsageProblem
from bulk_sync.settings import Bound, Connection, Credentials, Limits, Secret

TOKEN = Secret("s3cret")
GOOD = Connection("https://mc.adobe.io", "acme", Credentials("key", access_token=TOKEN))


def test_a_secret_does_not_print_itself() -> None:
    assert "s3cret" not in f"{GOOD} {GOOD!r} {TOKEN} {TOKEN!r}"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"endpoint": "mc.adobe.io"}, "no URL"),
        ({"endpoint": "ftp://mc.adobe.io"}, "no URL"),
        ({"endpoint": "https://mc.adobe.io:abc"}, "no URL"),
        ({"endpoint": "https://[::1"}, "no URL"),
        ({"endpoint": "https://[::zz]"}, "no URL"),
        ({"endpoint": "https://a..example"}, "empty part"),
        ({"endpoint": "https://.example"}, "empty part"),
        ({"endpoint": f"https://{'a' * 64}.example"}, "no host name has the part 'aaa"),
        ({"endpoint": "https://" + ".".join(["a" * 60] * 5)}, "at most 253"),
        ({"endpoint": "https://-a.example"}, "no host name has the part '-a'"),
        ({"endpoint": "https://a%20b.example"}, "no host name has the part"),
        ({"endpoint": "https://a b.example"}, "a blank"),
        ({"endpoint": "https://mc.adobe.io\n"}, "a blank"),
        ({"endpoint": "https://mc.ado\u200bbe.io"}, "an invisible character"),
        ({"endpoint": "https://mc.adobe.io:0"}, "port 0"),
        ({"endpoint": "https://mc.adobe.io:65536"}, "no URL"),
        ({"endpoint": "http://mc.adobe.io"}, "unencrypted"),
        ({"endpoint": "https://u:p@mc.adobe.io"}, "scheme, host and path"),
        ({"organization": "a/../b"}, "--organization"),
        ({"organization": ".."}, "--organization"),
        ({"api": "x?y"}, "--api"),
        ({"attribute": 'a"b'}, "--attribute"),
    ],
)
def test_a_connection_that_cannot_work_is_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(UsageProblem, match=says):
        replace(GOOD, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ims_endpoint": "https://ims..example"}, "--ims-endpoint .* empty part"),
        ({"ims_endpoint": "http://ims.example"}, "--ims-endpoint"),
        ({"api_key": "k\r\nX-Evil: 1"}, "line breaks"),
        ({"access_token": None}, "No credentials"),
    ],
)
def test_credentials_that_cannot_work_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageProblem, match=message):
        replace(GOOD.credentials, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "other", "most"),
    [(None, "0", 0), (None, "50", 10), ("0", "50", 0), ("5", "2%", 2), ("2", "5%", 2)],
)
def test_of_two_limits_the_stricter_one_holds(own: str | None, other: str, most: int) -> None:
    given = None if own is None else Bound.parse(own, "own")
    limits = Limits(max_opt_ins=given).within({"max_opt_ins": Bound.parse(other, "other")}, 100)
    assert limits.opt_ins(100) == most


@pytest.mark.parametrize(
    "host", ["mc.adobe.io", "bücher.example", "a_b.example.", "10.0.0.1:8443", f"{'a' * 63}.b"]
)
def test_a_host_may_have_every_name_that_a_resolver_accepts(host: str) -> None:
    assert replace(GOOD, endpoint=f"https://{host}").endpoint == f"https://{host}"


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:1", "[::1]:9"])
def test_plain_http_is_for_this_machine(host: str) -> None:
    assert replace(GOOD, endpoint=f"http://{host}").endpoint == f"http://{host}"


@pytest.mark.parametrize(
    ("text", "rows", "most"),
    [
        ("7", 100, 7),
        ("0", 100, 0),
        ("2%", 100, 2),
        ("0.5 %", 1000, 5),
        ("1%", 99, 0),
        ("0.57%", 10_000, 57),
    ],
)
def test_a_bound_is_a_number_or_a_share(text: str, rows: int, most: int) -> None:
    assert Bound.parse(text, "--max-changes").most(rows) == most


@pytest.mark.parametrize("text", ["", "-1", "ten", "101%", "1.5", "%"])
def test_anything_else_is_no_bound(text: str) -> None:
    with pytest.raises(UsageProblem, match="--max-changes"):
        Bound.parse(text, "--max-changes")


@pytest.mark.parametrize(("rows", "most"), [(99, None), (100, 10), (5000, 500)])
def test_failures_are_limited_from_a_hundred_rows(rows: int, most: int | None) -> None:
    assert Limits().failures(rows).most == most
