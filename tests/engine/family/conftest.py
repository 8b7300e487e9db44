"""One built family for the area; a test that breaks something works on its own copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.families import FamilyFiles, build_tied_family


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    """The family as built; read only."""
    return build_tied_family(tmp_path_factory.mktemp("family"))


@pytest.fixture
def files(pristine: FamilyFiles, tmp_path: Path) -> FamilyFiles:
    """A copy that the test may break."""
    root = tmp_path / "family"
    shutil.copytree(pristine.root, root)
    experts = {name: root / name for name in pristine.experts}
    return FamilyFiles(root, root / "base", root / "target", experts)
