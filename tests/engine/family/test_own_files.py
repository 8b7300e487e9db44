"""Links that leave a model's directory, and what is no regular file, are refused and not opened."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.commands.checking import check
from engine.errors import BadInput
from engine.export.layout import model_files, side_files
from engine.family.compatibility import inspect_family, open_family
from engine.family.own_files import leaving
from engine.study import FamilySpec
from tests.families import FamilyFiles, build_tied_family


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("own"))


@pytest.fixture
def files(sound: FamilyFiles, tmp_path: Path) -> FamilyFiles:
    root = tmp_path / "family"
    root.mkdir()
    for name in ("base", "terse", "helpful"):
        shutil.copytree(sound.root / name, root / name)
    experts = {name: root / name for name in ("terse", "helpful")}
    return FamilyFiles(root, root / "base", root / "target", experts)


def spec(files: FamilyFiles) -> FamilySpec:
    return FamilySpec(files.base, {"helpful": files.experts["helpful"]})


def linked(file: Path, elsewhere: Path) -> Path:
    """The file, moved and linked to."""
    elsewhere.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(file, elsewhere)
    file.symlink_to(os.path.relpath(elsewhere, file.parent.resolve()))
    return elsewhere


def test_a_link_out_of_the_directory_is_named_with_where_it_points(
    files: FamilyFiles, tmp_path: Path
) -> None:
    secret = linked(files.base / "tokenizer_config.json", tmp_path / "secret")
    family = open_family(spec(files))
    with pytest.raises(BadInput) as caught:
        side_files(family)
    [problem] = caught.value.problems
    assert problem.where == str(files.base)
    assert "tokenizer_config.json is a link" in problem.what and str(secret) in problem.what
    study = files.study("helpful")
    found = check(SimpleNamespace(study=str(study), workspace=tmp_path / "workspace"))
    assert not found["ok"] and str(secret) in str(found["problems"])


def test_a_copy_of_a_model_takes_no_link_along(files: FamilyFiles, tmp_path: Path) -> None:
    place = files.experts["helpful"]
    weights = next(place.glob("*.safetensors"))
    secret = linked(weights, tmp_path / "elsewhere" / weights.name)
    assert open_family(spec(files)).experts["helpful"].tensors  # read, not handed on
    with pytest.raises(BadInput, match=str(secret)):
        model_files(place)


def test_links_inside_and_a_linked_directory_are_fine(files: FamilyFiles, tmp_path: Path) -> None:
    linked(files.base / "tokenizer_config.json", files.base / "inner" / "settings")
    (tmp_path / "link").symlink_to(files.base)
    inside = FamilySpec(tmp_path / "link", {"helpful": files.experts["helpful"]})
    assert side_files(open_family(inside))
    assert model_files(tmp_path / "link")


def test_the_hub_cache_is_its_own(files: FamilyFiles, tmp_path: Path) -> None:
    cached = tmp_path / "hub" / "models--acme--tiny"
    snapshot = cached / "snapshots" / "0123abc"
    snapshot.parent.mkdir(parents=True)
    shutil.move(files.base, snapshot)
    for number, file in enumerate(sorted(each for each in snapshot.iterdir() if each.is_file())):
        linked(file, cached / "blobs" / f"{number:064x}")
    family = open_family(FamilySpec(snapshot, {"helpful": files.experts["helpful"]}))
    assert "config.json" in dict(side_files(family)) and model_files(snapshot)
    other = tmp_path / "hub" / "models--acme--big" / "blobs" / "a"
    other.parent.mkdir(parents=True)
    other.write_text("{}")
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(other)
    [problem] = leaving(snapshot, [snapshot / "config.json"])
    assert str(other) in problem.what


@pytest.mark.parametrize("name", ["tokenizer.json", "odd", "model.safetensors"])
def test_a_pipe_is_refused_and_not_opened(files: FamilyFiles, name: str) -> None:
    place = files.experts["helpful"]
    (place / name).unlink(missing_ok=True)
    os.mkfifo(place / name)
    [problem] = inspect_family(spec(files))[1]
    assert f"{name} is a named pipe" in problem.what and str(place) in problem.where


def test_a_socket_and_a_link_to_a_device(
    files: FamilyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = files.experts["helpful"]
    monkeypatch.chdir(place)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("talk")
        [problem] = inspect_family(spec(files))[1]
        assert "talk is a socket" in problem.what
    (place / "talk").unlink()
    (place / "config.json").unlink()
    (place / "config.json").symlink_to("/dev/zero")
    [problem] = inspect_family(spec(files))[1]
    assert "config.json is a device" in problem.what
