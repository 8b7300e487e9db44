"""The house holds: imports go down only, the app process is free of torch, files stay readable."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Top to bottom; a module may import its own floor and those below. `engine` itself registers the
# methods, which import only what lies below them.
FLOORS = (
    ("app", "pages", "engine.__main__", "engine.commands"),
    ("ui",),
    ("studio",),
    ("engine.serving",),
    ("engine.jobs",),
    ("engine.search", "engine.export", "engine.demo"),
    ("engine.scoring",),
    ("engine.compose", "engine.composed"),
    ("engine.pruning",),
    ("engine.merging", "engine.decoding", "engine.mergekit"),
    ("engine.family",),
    (
        "engine.study",
        "engine.study_data",
        "engine.study_family",
        "engine.study_members",
        "engine.study_reference",
        "engine.study_file",
        "engine.recipe",
        "engine.method",
        "engine.bands",
        "engine.numerics",
        "engine.parameter",
        "engine.prune",
        "engine.registry",
        "engine.apart",
        "engine.counted",
        "engine.apart_process",
        "engine.json_reading",
        "engine.plain_file",
        "engine.yaml_reading",
        "engine.yaml_writing",
        "engine.replacing",
        "engine.unfinished",
        "engine.private",
        "engine.front",
        "cache",
    ),
    ("engine.worker", "engine.errors"),
)

# Files that pass 300 lines, each with why it is still one idea.
LONG: dict[str, str] = {}


def sources() -> list[Path]:
    found = [ROOT / "app.py"]
    for top in ("engine", "cache", "studio", "ui", "pages"):
        found += sorted((ROOT / top).rglob("*.py"))
    return [path for path in found if path.exists()]


def module_of(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module: str) -> int | None:
    best: tuple[int, int] | None = None
    for index, names in enumerate(FLOORS):
        for name in names:
            if (module == name or module.startswith(name + ".")) and (
                best is None or len(name) > best[1]
            ):
                best = (index, len(name))
    return None if best is None else best[0]


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module a file imports, inside functions too, with its line."""
    known = {module_of(each) for each in sources()}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if inner in known else str(node.module)), node.lineno


def violations(path: Path) -> list[str]:
    module = module_of(path)
    own = floor_of(module)
    if module == "engine":
        return []
    assert own is not None, f"{module} stands on no floor"
    found = []
    for name, line in imports(path):
        other = floor_of(name)
        if other is not None and other < own:
            found.append(f"{path.relative_to(ROOT)}:{line}: {module} imports {name} from above")
    return found


def test_imports_go_down_only() -> None:
    found = [each for path in sources() for each in violations(path)]
    assert not found, "\n".join(found)


def test_the_search_wing_never_imports_run() -> None:
    found = [
        f"{path}:{line}"
        for path in (ROOT / "engine" / "search").rglob("*.py")
        for name, line in imports(path)
        if name.startswith("engine.jobs")
    ]
    assert not found


def test_the_worker_knows_errors_alone() -> None:
    found = [
        f"{path}:{line}: {name}"
        for path in (ROOT / "engine" / "worker").rglob("*.py")
        for name, line in imports(path)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and name != "engine.errors"
        and not name.startswith("engine.worker.")
    ]
    assert not found


def test_an_import_from_above_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = tmp_path / "engine" / "front" / "planted.py"
    planted.parent.mkdir(parents=True)
    planted.write_text("def late():\n    from engine.jobs.local import SAVED\n    return SAVED\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert len(violations(planted)) == 1


def typing_only(tree: ast.Module) -> set[ast.AST]:
    """Nodes that run for type checkers only."""
    blocks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {inner for block in blocks for each in block.body for inner in ast.walk(each)}


def test_no_circles_between_modules() -> None:
    known = {module_of(path): path for path in sources()}
    edges: dict[str, set[str]] = {}
    for module, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        skipped = typing_only(tree)
        names = set()
        for node in ast.walk(tree):
            if node in skipped:
                continue
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    names.add(inner if inner in known else str(node.module))
        edges[module] = {name for name in names if name in known and name != module}
    state: dict[str, int] = {}

    def visit(module: str, trail: list[str]) -> None:
        state[module] = 1
        for name in edges[module]:
            assert state.get(name) != 1, " → ".join([*trail, module, name])
            if name not in state:
                visit(name, [*trail, module])
        state[module] = 2

    for module in edges:
        if module not in state:
            visit(module, [])


TORCH_FREE = (
    "app", "pages", "engine", "engine.study", "engine.recipe", "engine.front", "engine.merging",
    "engine.decoding", "engine.jobs.executor", "engine.jobs.local", "engine.scoring.objectives",
    "engine.family.compatibility", "engine.family.fingerprint", "engine.commands", "cache.store",
    "cache.blobs", "engine.search.surrogate", "engine.front.decide",
)  # fmt: skip


def test_the_app_side_never_imports_torch() -> None:
    wanted = [name for name in TORCH_FREE if name not in ("app", "pages")]
    code = (
        f"import importlib, sys\nfor name in {wanted!r}: importlib.import_module(name)\n"
        "bad = {'torch', 'transformers', 'peft', 'accelerate'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("engine.export.mergefile", {"transformers", "peft", "accelerate", "duckdb", "pyarrow"}),
        ("engine.__main__", {"torch", "numpy", "duckdb", "pyarrow", "pydantic", "rich"}),
        ("engine.commands.merging", {"torch", "numpy", "duckdb", "pyarrow"}),
        ("engine.commands.checking", {"torch", "transformers", "duckdb", "pyarrow"}),
        ("engine.commands.fronts", {"torch", "transformers", "duckdb", "pyarrow"}),
    ],
)
def test_a_command_imports_what_it_uses(module: str, unwanted: set[str]) -> None:
    """merge merges with torch alone; check reads headers: half of a short command is importing."""
    code = f"import {module}, sys\nfound = {unwanted!r} & set(sys.modules)\nassert not found, found"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_long_files_are_listed_with_their_reason() -> None:
    long = {
        str(path.relative_to(ROOT))
        for path in sources()
        if path.read_text(encoding="utf-8").count("\n") > 300
    }
    assert long == set(LONG), f"listed {sorted(LONG)}, found {sorted(long)}"


def test_what_differs_does_not_share_a_name() -> None:
    """One definition of each: two of a name were bounds, scores and memories of different kinds."""
    defined = re.compile(r"^(?:class )?(Bounds|Measured|Memory|Pair)(?:[:(]| = )", re.MULTILINE)
    texts = (path.read_text(encoding="utf-8") for path in sources())
    found = [name for text in texts for name in defined.findall(text)]
    assert sorted(found) == ["Bounds", "Measured", "Memory", "Pair"]


def test_no_forbidden_leftovers() -> None:
    marks = ("TODO", "FIXME", "XXX", "raise NotImplementedError")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if any(mark in line for mark in marks)
    ]
    assert not found
