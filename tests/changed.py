"""Which tests to run for what changed: `python -m tests.changed [SINCE]` prints their paths.

A file changed since a commit (default: the last), or not yet committed, has the test of its path:
studio/points/view.py has tests/studio/points/test_view.py. A changed test has itself. A package's
`__init__.py` has the tests beside it. Journeys and tests that kill are for `make test`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
ALWAYS = "tests/test_structure.py"
SLOW = ("tests/browser/", "tests/faults/", "tests/fuzz/", "tests/differential/")


def changed(since: str) -> list[str]:
    """Paths that differ from a commit, and files that git does not know yet."""
    differ = ["git", "diff", "--name-only", "--diff-filter=d", since]
    new = ["git", "ls-files", "--others", "--exclude-standard"]
    said = [
        subprocess.run(each, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for each in (differ, new)
    ]
    return sorted({line for text in said for line in text.splitlines()})


def mirrored(paths: Iterable[str], root: Path = ROOT) -> list[str]:
    """The tests of these paths that are there, each once; the structure's always."""
    found = {ALWAYS}
    for name in paths:
        path = Path(name)
        if path.suffix != ".py":
            continue
        if path.parts[0] == "tests":
            mine = [path] if path.name.startswith("test_") else []
        elif path.name == "__init__.py":
            beside = root / "tests" / path.parent
            mine = [each.relative_to(root) for each in beside.glob("test_*.py")]
        else:
            mine = [Path("tests") / path.parent / f"test_{path.name}"]
        found |= {str(each) for each in mine if (root / each).exists()}
    return sorted(each for each in found if not each.startswith(SLOW))


if __name__ == "__main__":
    print("\n".join(mirrored(changed(sys.argv[1] if len(sys.argv) > 1 else "HEAD~1"))))
