"""Counts how many small faults in the code the tests notice: ``make mutants``.

A mutant is the code with one small change: a comparison turned around, a condition negated, a
statement left out. It is noticed if a test fails. Each mutant runs against the tests that execute
its line, in a copy of the checkout. Survivors are printed with their change; a person decides
which of them are equivalent to the code.

The first run records which test executes which line; that takes about as long as three suites and
is kept in ``.cache/mutants``.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from coverage import CoverageData

ROOT: Final = Path(__file__).parent.parent.parent
CACHE: Final = ROOT / ".cache" / "mutants"
ROOMS: Final = ("rows", "engines", "campaign", "ledger", "runs", "storage")
MOST_TESTS: Final = 150
TIMEOUT_S: Final = 900
FAILED: Final = {1, 2}
"""Exit codes of pytest: a test failed, or a module of tests could not be imported."""

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
    """Return what stands for a statement that is left out; None if it is no good mutant."""
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


def record() -> CoverageData:
    """Return which test executes which line, from the cache if it is there."""
    CACHE.mkdir(parents=True, exist_ok=True)
    data, config = CACHE / "coverage", CACHE / "coveragerc"
    if not data.exists():
        config.write_text(
            f"[run]\ndata_file={data}\nsource=bulk_sync\ndynamic_context=test_function\n"
        )
        words = ["-m", "coverage", "run", f"--rcfile={config}", "-m", "pytest", "-q"]
        subprocess.run([sys.executable, *words], cwd=ROOT, check=False)
    found = CoverageData(str(data))
    found.read()
    return found


def failing(copy: Path) -> frozenset[str]:
    """Return the tests that fail in a copy without any mutant: they prove nothing."""
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", "-rfE"]
    ran = subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split(" - ")[0].split() for line in ran.stdout.splitlines()]
    return frozenset(
        words[1].split("[")[0] for words in lines if words[:1] in (["FAILED"], ["ERROR"])
    )


def tests_of(mutant: Mutant, data: CoverageData, copy: Path, left_out: frozenset[str]) -> list[str]:
    """Return the tests that execute the line of a mutant, or else any line of its module."""
    contexts = data.contexts_by_lineno(str(ROOT / mutant.path))
    direct = {name for name in contexts.get(mutant.line, ()) if name}
    if not direct:
        direct = {name for names in contexts.values() for name in names if name}
    mirrored = Path(mutant.path).parent.name
    found = []
    for name in sorted(direct, key=lambda name: (f"{mirrored}." not in name, name)):
        parts = name.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            path = Path(*parts[:cut]).with_suffix(".py")
            there = [each for each in (path, "tests" / path) if (copy / each).exists()]
            if there:
                found.append("::".join([str(there[0]), *parts[cut:]]))
                break
    found = [name for name in found if name not in left_out]
    return found if len(found) <= MOST_TESTS else [*found[:MOST_TESTS], "tests"]


def noticed(
    mutant: Mutant, data: CoverageData, copies: "SimpleQueue[Path]", left_out: frozenset[str]
) -> bool:
    """Check whether a test fails, or hangs, with a mutant in place of the code."""
    copy = copies.get()
    path = copy / mutant.path
    text = path.read_bytes()
    try:
        path.write_bytes(text[: mutant.start] + mutant.new.encode() + text[mutant.end :])
        words = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header"]
        words += [word for name in sorted(left_out) for word in ("--deselect", name)]
        ran = subprocess.run(
            [sys.executable, *words, *tests_of(mutant, data, copy, left_out)],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    else:
        if ran.returncode > 2:
            print("NOT RUN ", mutant, ran.returncode, flush=True)
        return ran.returncode in FAILED
    finally:
        path.write_bytes(text)
        copies.put(copy)


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
    data = record()
    ignored = shutil.ignore_patterns(".venv", ".git", ".cache", "__pycache__", ".*_cache")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.at_once) as threads:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(given.at_once):
            copy = Path(folder, str(number))
            shutil.copytree(ROOT, copy, ignore=ignored)
            copies.put(copy)
        left_out = failing(Path(folder, "0"))
        print("Fail without any mutant:", *sorted(left_out), flush=True)
        survived = 0
        verdicts = threads.map(
            partial(noticed, data=data, copies=copies, left_out=left_out), sample
        )
        for mutant, is_noticed in zip(sample, verdicts, strict=True):
            survived += not is_noticed
            print("noticed " if is_noticed else "SURVIVED", mutant, flush=True)
    print(f"{len(sample) - survived} of {len(sample)} noticed ({1 - survived / len(sample):.0%})")


if __name__ == "__main__":
    main()
