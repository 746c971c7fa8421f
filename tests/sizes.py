"""Limits the size of modules and functions of the package: ``make lint``."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent / "bulk_sync"
MOST_OF_A_MODULE: Final = 350
MOST_OF_A_FUNCTION: Final = 50


def problems() -> Iterator[str]:
    """Yield the modules and functions with too many lines."""
    for path in sorted(ROOT.rglob("*.py")):
        name, text = path.relative_to(ROOT.parent), path.read_text()
        lines = len(text.splitlines())
        if lines > MOST_OF_A_MODULE:
            yield f"{name}: {lines} lines, at most {MOST_OF_A_MODULE}"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MOST_OF_A_FUNCTION:
                    yield f"{name}:{node.lineno}: {lines} lines, at most {MOST_OF_A_FUNCTION}"


if __name__ == "__main__":
    sys.exit("\n".join(problems()) or None)
