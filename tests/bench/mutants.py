"""Counts how many small faults in the code the tests notice: ``make mutants``.

A mutant is the code with one small change: a comparison turned around, a condition negated, a
statement left out. The tests notice it if one of them fails. Each mutant runs against tests of its
line, the nearest first and for a minute at most, in a copy of the checkout. Survivors are printed
with their change. A person decides which of them are equivalent to the code, and which would fail
in a test left out here: in a browser, of the page, of the recipes, or with PostgreSQL.

The first run records the lines of each test in ``.cache/mutants``, and takes a third longer than
the tests; remove the record after changes. A mutant takes some seconds if a test notices it.
"""

import argparse
import ast
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import pytest
from coverage import Coverage, CoverageData

ROOT: Final = Path(__file__).parent.parent.parent
CACHE: Final = ROOT / ".cache" / "mutants"
LINES, SECONDS = CACHE / "lines", CACHE / "seconds"
ROOMS: Final = ("rows", "engines", "campaign", "ledger", "runs", "storage")
TESTS: Final = (
    *(f"tests/{room}" for room in ("campaign", "engines", "ledger", "rows", "runs")),
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/test_*.py")),
    *(f"tests/{room}" for room in ("cli", "monitoring", "remote", "report")),
)
MOST_S: Final = 60
"""Computing time of the tests of one mutant."""

HANGS: Final = ("faulthandler_timeout=300", "faulthandler_exit_on_timeout=true")
QUIET: Final = ("-q", "-p", "no:cacheprovider", "--tb=no", "-o", HANGS[0], "-o", HANGS[1])

PRELOADED: Final = (
    *("aiohttp", "click", "duckdb", "msgspec", "openpyxl", "orjson", "pandas", "pyarrow.parquet"),
    *("sqlalchemy", "tqdm", "uvloop", "xlsxwriter"),
)
PROCESSES: Final = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", *PRELOADED])

SWAPPED: Final[dict[type[ast.AST], type[ast.AST]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
LEFT_OUT: Final[dict[type[ast.AST], str]] = {
    ast.Expr: "pass",
    ast.AugAssign: "pass",
    ast.Raise: "pass",
    ast.Assert: "pass",
    ast.Break: "continue",
    ast.Continue: "break",
}
NAMES: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """One change: the text from ``start`` to ``end`` (bytes of the file) is replaced by ``new``."""

    path: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {' '.join(self.old.split())} -> {self.new}"


def changed(node: ast.AST, **fields: object) -> ast.AST:
    """Return a copy of a node with other fields."""
    return type(node)(**{**dict(ast.iter_fields(node)), **fields})


def swapped(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the node with one operator, constant or name replaced."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in SWAPPED:
            yield changed(node, ops=[SWAPPED[type(op)]()])
        case ast.BoolOp(op=op) | ast.BinOp(op=op) if type(op) in SWAPPED:
            yield changed(node, op=SWAPPED[type(op)]())
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.IfExp():
            yield ast.IfExp(node.test, node.orelse, node.body)
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.Call(func=ast.Name(id=name)) if name in NAMES:
            yield ast.Call(ast.Name(NAMES[name]), node.args, node.keywords)


def left_out(node: ast.AST) -> str | None:
    """Return the replacement of a statement left out, or None if it makes no good mutant."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return None
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log")))):
            return None
        case ast.Return(value=None) | ast.Return(value=ast.Constant()):
            return None
        case ast.Return():
            return "return None"
    return LEFT_OUT.get(type(node))


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every statement and expression, without annotations, slices and formats."""
    for field, value in ast.iter_fields(tree):
        if field in {"annotation", "returns", "decorator_list", "slice", "format_spec"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield child
                yield from nodes(child)


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield every mutant of one module."""
    text = path.read_bytes()
    starts = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]
    for node in nodes(ast.parse(text)):
        if not isinstance(node, ast.stmt | ast.expr):
            continue
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        others = [ast.unparse(ast.fix_missing_locations(other)) for other in swapped(node)]
        for new in [left_out(node), *(f"({other})" for other in others)]:
            if new is not None:
                old = text[start:end].decode()
                yield Mutant(str(path.relative_to(ROOT)), node.lineno, start, end, old, new)


class Recorder:
    """A plugin of pytest: the lines of each test, its computing time, and the failed tests."""

    def __init__(self, coverage: Coverage) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.coverage.switch_context(item.nodeid)
        began = sum(os.times()[:4])
        answer = yield
        self.seconds[item.nodeid] = sum(os.times()[:4]) - began
        return answer

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)


def record() -> None:
    """Run the tests once in this process, and store the lines of each; failed ones are left out."""
    CACHE.mkdir(parents=True, exist_ok=True)
    include = [f"{ROOT}/bulk_sync/{room}/*" for room in ROOMS]
    coverage = Coverage(data_file=str(LINES), config_file=False, include=include)
    recorder = Recorder(coverage)
    os.chdir(ROOT)
    with coverage.collect():
        pytest.main([*QUIET, "-k", "not postgresql", *TESTS], [recorder])
    coverage.save()
    print("Fail without any mutant:", *sorted(recorder.failed), flush=True)
    for name in recorder.failed:
        recorder.seconds.pop(name, None)
    SECONDS.write_text(json.dumps(recorder.seconds))


def tests_of(mutant: Mutant, lines: CoverageData, seconds: dict[str, float]) -> list[str]:
    """Return the tests of a mutant's line, the nearest and fastest first.

    A line of an import, or of no test, has the tests of its module or of its room. Tests named
    after the module may run it in another process. Together they compute no longer than
    ``MOST_S``.
    """
    module = Path(mutant.path)
    room = f"/{module.parts[1]}/"
    contexts = lines.contexts_by_lineno(str(ROOT / mutant.path))
    line = next((contexts[line] for line in range(mutant.line, 0, -1) if line in contexts), [])
    anywhere = {name for names in contexts.values() for name in names}
    in_room = {name for name in seconds if room in name}
    found = seconds.keys() & line or seconds.keys() & anywhere or in_room
    found |= {name for name in seconds if f"/test_{module.stem}.py:" in name}
    chosen = sorted(
        found,
        key=lambda name: (
            module.stem not in name.split("::")[0],
            room not in name,
            seconds[name],
        ),
    )
    sums = accumulate(seconds[name] for name in chosen)
    return [name for name, sum_s in zip(chosen, sums, strict=True) if sum_s < MOST_S]


def run_tests(copy: Path, tests: list[str]) -> None:
    """Run tests in a copy, until one fails, and exit with the status of pytest."""
    os.chdir(copy)
    os.environ.update(PYTHONPATH=str(copy), PYTHONDONTWRITEBYTECODE="1")
    sys.path.insert(0, str(copy))
    sys.dont_write_bytecode = True
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    sys.exit(pytest.main(["-x", *QUIET, f"--basetemp={copy}-files", *tests]))


def finished(act: Callable[..., object], *given: object) -> int | None:
    """Run a function in a process with the libraries imported; return its exit status."""
    process = PROCESSES.Process(target=act, args=given)
    process.start()
    process.join()
    return process.exitcode


def noticed(
    mutant: Mutant, lines: CoverageData, seconds: dict[str, float], copies: "SimpleQueue[Path]"
) -> bool:
    """Check whether a test fails or hangs with a mutant in the code."""
    tests = tests_of(mutant, lines, seconds)
    copy = copies.get()
    path = copy / mutant.path
    text = path.read_bytes()
    path.write_bytes(text[: mutant.start] + mutant.new.encode() + text[mutant.end :])
    status = finished(run_tests, copy, tests)
    path.write_bytes(text)
    copies.put(copy)
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        print(f"Exit status {status}:", flush=True)
    return bool(tests) and status != pytest.ExitCode.OK


def main(words: Sequence[str] | None = None) -> None:
    """Draw a sample of mutants, run them, and print the survivors and the share noticed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("modules", nargs="*", help="paths of modules; default: all that matter")
    given = parser.parse_args(words)
    modules = [Path(name).resolve() for name in given.modules] or [
        path for room in ROOMS for path in sorted((ROOT / "bulk_sync" / room).rglob("*.py"))
    ]
    every = [mutant for path in modules for mutant in mutants(path)]
    sample = random.Random(given.seed).sample(every, min(given.count, len(every)))
    print(f"Seed {given.seed}: {len(sample)} of {len(every)} mutants", flush=True)
    if not SECONDS.exists():
        finished(record)
    lines = CoverageData(str(LINES))
    lines.read()
    seconds = json.loads(SECONDS.read_text())
    ignored = shutil.ignore_patterns(".venv", ".git", ".cache", ".*_cache")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.at_once) as threads:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(given.at_once):
            copy = Path(folder, str(number))
            shutil.copytree(ROOT, copy, ignore=ignored)
            copies.put(copy)
        check = partial(noticed, lines=lines, seconds=seconds, copies=copies)
        survived = 0
        for mutant, is_noticed in zip(sample, threads.map(check, sample), strict=True):
            survived += not is_noticed
            print("noticed " if is_noticed else "SURVIVED", mutant, flush=True)
    print(f"{len(sample) - survived} of {len(sample)} noticed ({1 - survived / len(sample):.0%})")


if __name__ == "__main__":
    main()
