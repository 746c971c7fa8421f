"""``make demo-page``: it starts, people sign in, and Ctrl-C ends all of it."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
import requests
from conftest import Process
from serving import sign_in
from visitors import Visitor

SCRIPT = Path(__file__).parents[2] / "sample_data" / "demo_page.py"


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Process]:
    words = [sys.executable, str(SCRIPT), str(tmp_path / "demo")]
    with Process(words, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.terminate()


def test_it_starts_signs_its_people_in_and_ends_on_ctrl_c(demo: Process) -> None:
    assert demo.stdout is not None
    text = "".join(takewhile("Ctrl-C ends it.\n".__ne__, demo.stdout))
    (url,) = re.findall(r"(http://127\.0\.0\.1:\d+)/", text)
    people = re.findall(
        r"^  (\w+ \w+) +(uploader|approver|admin) +password  (\S+)$", text, re.MULTILINE
    )
    assert [role for _, role, _ in people] == ["uploader", "approver", "admin"]
    (sample,) = re.findall(r"upload (/\S+)", text)
    assert Path(sample).is_file()
    with Visitor() as session:
        assert session.get(f"{url}/healthz").text == "ok"
        for name, _, password in people:
            assert sign_in(session, url, name, password).status_code == 303
    demo.send_signal(signal.SIGINT)
    assert demo.wait() == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/healthz", timeout=5)
