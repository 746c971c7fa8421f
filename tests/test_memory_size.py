"""The memory for an input, if no size is given."""

from pathlib import Path

import pytest

from bulk_sync.memory import default_bytes, sliced_bytes

LEAST = 500_000_000
NO_LIMIT_V1 = 9223372036854771712
"""The limit of groups without one in version 1."""


def write_files(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {
                "proc/self/cgroup": "0::/system.slice/night.service\n",
                "sys/fs/cgroup/system.slice/night.service/memory.max": "4000000000\n",
            },
            1_000_000_000,
        ),
        (
            {
                "proc/self/cgroup": "0::/jobs/night\n",
                "sys/fs/cgroup/jobs/night/memory.max": "max\n",
                "sys/fs/cgroup/jobs/memory.max": "2800000000\n",
            },
            700_000_000,
        ),
        (
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "3000000000\n"},
            750_000_000,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/night\n4:memory:/night\n0::/\n",
                "sys/fs/cgroup/memory/night/memory.limit_in_bytes": "2400000000\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{NO_LIMIT_V1}\n",
            },
            600_000_000,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/docker/8c9d1e4195b1\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "2200000000\n",
            },
            550_000_000,
        ),
        (
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n"},
            LEAST,
        ),
    ],
    ids=[
        "a service",
        "the limit of a group above",
        "a container that sees its own group at the top",
        "version 1",
        "version 1, in a container that is shown the path of its host",
        "a container with little",
    ],
)
def test_a_quarter_of_the_control_group_is_taken(
    tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    assert default_bytes(write_files(tmp_path, files)) == expected


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "0::/night\n"},
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"},
        {"proc/self/cgroup": "5:cpu:/a:b\n", "sys/fs/cgroup/a:b/memory.max": "2800000000\n"},
    ],
    ids=["no groups at all", "groups that are not shown", "no limit", "another hierarchy"],
)
def test_without_a_limit_a_quarter_of_the_machine_is_taken(
    tmp_path: Path, files: dict[str, str]
) -> None:
    (kibibytes,) = (
        int(line.split()[1])
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal:")
    )
    expected = max(LEAST, kibibytes * 1024 // 4)
    assert default_bytes(write_files(tmp_path, files)) == pytest.approx(expected, rel=0.02)


def test_rows_in_slices_take_the_given_memory_or_no_more_than_useful() -> None:
    assert sliced_bytes(9_000_000_000) == 9_000_000_000
    assert sliced_bytes(None) == min(default_bytes(), 2_000_000_000)
