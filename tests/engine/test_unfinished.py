"""What a killed process leaves is removed at the next start, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import unfinished
from engine.demo.write import FAMILY, write_demo
from engine.errors import BadInput
from engine.export.directory import new_directory, recording_in

ROOT = Path(__file__).parents[2]

WORK = """
import sys, time
from pathlib import Path
from engine import unfinished
from engine.export.directory import new_directory, recording_in
workspace, out = Path(sys.argv[1]), Path(sys.argv[2])
unfinished.make_temporary("worker")
unfinished.make_temporary(".new-", workspace)
with recording_in(workspace), new_directory(out) as partial:
    (partial / "model.safetensors").write_bytes(b"half")
    print(partial, flush=True)
    time.sleep(600)
"""


@contextmanager
def working(workspace: Path, out: Path, temporary: Path) -> Iterator[Path]:
    """A process in the middle of writing `out`; killed when the block ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", WORK, str(workspace), str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    try:
        assert child.stdout is not None
        yield Path(child.stdout.readline().decode().strip())
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()  # type: ignore[union-attr]


def names(place: Path) -> list[str]:
    return sorted(str(each.relative_to(place)) for each in place.rglob("*"))


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of this test's own."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def test_a_killed_process_s_work_goes_and_a_living_one_s_stays(
    tmp_path: Path, temporary: Path
) -> None:
    workspace, out = tmp_path / "home", tmp_path / "far" / "made" / "out"
    workspace.mkdir()
    bystanders = (
        out.with_name("out.tmp-01234567"), out.with_name("out.tmp-mine"),
        temporary / "paretoscope-worker-01234567", temporary / "paretoscope-notes",
    )  # fmt: skip
    with working(workspace, out, temporary) as partial:
        for each in bystanders:
            each.mkdir(parents=True, exist_ok=True)
            (each / "kept").write_text("of another")
        before = names(tmp_path)
        assert unfinished.clean(workspace) == [] and unfinished.beside(out) == []
        assert names(tmp_path) == before and partial.is_dir()
    found = unfinished.clean(workspace)
    assert partial in {each.path for each in found} and all(each.removed for each in found)
    assert len(found) == 3 and str(partial) in unfinished.told(found)
    assert names(workspace) == ["unfinished"]
    assert sorted(each for each in tmp_path.rglob("*") if each.name == "kept") == sorted(
        each / "kept" for each in bystanders
    )
    assert not partial.exists() and unfinished.clean(workspace) == []
    assert unfinished.told([]) == "Nothing was left behind."


def test_directories_made_on_the_way_go_too(tmp_path: Path, temporary: Path) -> None:
    workspace = tmp_path / "home"
    workspace.mkdir()
    with working(workspace, tmp_path / "far" / "made" / "out", temporary):
        pass
    unfinished.clean(workspace)
    assert not (tmp_path / "far").exists()


def test_the_same_output_is_enough(tmp_path: Path, temporary: Path) -> None:
    """Another workspace knows nothing of it; the directory is marked itself."""
    for each in ("home", "other"):
        (tmp_path / each).mkdir()
    out = tmp_path / "out"
    with working(tmp_path / "home", out, temporary) as partial:
        pass
    assert partial.exists() and unfinished.clean(tmp_path / "other")  # in the temporary folder
    assert partial.exists()
    with recording_in(tmp_path / "other"), new_directory(out) as mine:
        (mine / "model").write_text("whole")
    assert not partial.exists() and names(out) == ["model"]
    assert names(tmp_path / "other") == ["unfinished"]


def test_what_cannot_be_removed_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left = tmp_path / ".demo-x"
    left.mkdir()
    lock = unfinished.mark(left)
    assert lock is not None
    os.close(lock)
    monkeypatch.setattr(unfinished.shutil, "rmtree", lambda *_, **__: None)
    found = unfinished.clean(tmp_path)
    assert found == [unfinished.Left(left, False)]
    assert str(left) in unfinished.told(found) and "by hand" in unfinished.told(found)
    assert str(left) in caplog.text


def test_a_record_names_nothing_but_what_is_ours(tmp_path: Path) -> None:
    """Whoever may write in a workspace cannot have another directory removed."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").write_text("kept")
    (tmp_path / "unfinished").mkdir()
    for place, text in enumerate((
        json.dumps({"path": str(tmp_path / "mine"), "made": [str(tmp_path / "mine")]}),
        "", "{", "[]", '{"path": 3, "made": null}',
    )):  # fmt: skip
        (tmp_path / "unfinished" / str(place)).write_text(text)
    assert unfinished.clean(tmp_path) == []
    assert names(tmp_path) == ["mine", "mine/kept", "unfinished"]


def test_a_half_of_the_demo_is_completed(tmp_path: Path) -> None:
    whole = names(write_demo(tmp_path / "whole").parent)
    half = tmp_path / "half"
    (half / "models" / "base").mkdir(parents=True)
    data = (FAMILY / "models/base/model.safetensors").read_bytes()
    (half / "models/base/model.safetensors").write_bytes(data[: len(data) // 2])
    write_demo(half)
    assert names(half) == whole
    assert (half / "models/base/model.safetensors").read_bytes() == data
    for change in ("mine.txt", "data/facts.jsonl", "study.yaml"):
        other = tmp_path / change.replace("/", " ")
        write_demo(other)
        (other / "study-lora.yaml").unlink()
        with (other / change).open("a") as file:
            file.write("mine")
        with pytest.raises(BadInput, match="not empty"):
            write_demo(other)
        assert not (other / "study-lora.yaml").exists()
