"""Holds docstrings to plain English: ``make lint``.

Words that hide who does what may stand only so often in 1,000 words of docstrings, and some never.
The limits are those of packages that read well, rounded up; each of the package, the tests and the
sample data has to meet them. The page about the design explains the rules.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
TREES: Final = ("bulk_sync", "tests", "sample_data")
MOST: Final = {r"tell|tells|told|say|says|said": 1.5, r"that|which|who|whose": 15.0}
"""Occurrences in 1,000 words, at most."""
NEVER: Final = r"whoever|nobody|somebody|none is|be it|bears|to be had"

SHOWN: Final = ("*.py", "*.j2", "*.md")
"""What people read: messages, screens, manual."""
QUOTES: Final = ("design.md", "language.py")
"""Files that quote the rules."""


def docstrings(tree: Path) -> Iterator[tuple[str, str]]:
    """Yield each docstring of a tree, with its place."""
    for path in sorted(tree.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                line = 1 if isinstance(node, ast.Module) else node.lineno
                if text:
                    yield f"{path.relative_to(ROOT)}:{line}", text


def problems(tree: Path) -> Iterator[str]:
    """Yield each breach of the rules in a tree."""
    found = list(docstrings(tree))
    every = " ".join(text for _, text in found)
    words = len(re.findall(r"[A-Za-z']+", every))
    for pattern, most in MOST.items():
        share = 1000 * len(re.findall(rf"\b({pattern})\b", every, re.IGNORECASE)) / words
        if share > most:
            yield f"{tree.name}: {pattern}: {share:.1f} in 1,000 words, at most {most}"
    for place, text in found:
        if hit := re.search(rf"\b({NEVER})\b", text, re.IGNORECASE):
            yield f"{place}: {hit[0]!r}"
        if re.match(r"(Tell|Say|Note)\b", text):
            yield f"{place}: begins with {text.split()[0]!r}"
    for path in sorted(each for end in SHOWN for each in tree.rglob(end)):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"\bwhoever\b", line, re.IGNORECASE) and path.name not in QUOTES:
                yield f"{path.relative_to(ROOT)}:{number}: 'whoever'"


if __name__ == "__main__":
    sys.exit("\n".join(each for name in TREES for each in problems(ROOT / name)) or None)
