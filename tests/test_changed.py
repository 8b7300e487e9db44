"""Which tests `make check` runs."""

from __future__ import annotations

from pathlib import Path

from tests.changed import ALWAYS, mirrored


def test_a_file_has_the_test_of_its_path_and_a_test_itself(tmp_path: Path) -> None:
    for name in ("studio/points/test_view.py", "browser/test_live.py", "engine/test_recipe.py",
                 "engine/front/test_pareto.py"):  # fmt: skip
        (tmp_path / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tests" / name).touch()
    paths = [
        "studio/points/view.py", "studio/points/other.py", "docs/guide.md", "tests/classes.py",
        "tests/browser/test_live.py", "tests/engine/test_recipe.py", "engine/front/__init__.py",
    ]  # fmt: skip
    assert mirrored(paths, tmp_path) == [
        "tests/engine/front/test_pareto.py",
        "tests/engine/test_recipe.py",
        "tests/studio/points/test_view.py",
        ALWAYS,
    ]
