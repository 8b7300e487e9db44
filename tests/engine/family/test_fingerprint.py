from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cache.damage import Damaged
from engine.errors import BadInput, Cancelled
from engine.family import fingerprint
from engine.family.compatibility import Family, open_family
from engine.family.fingerprint import family_fingerprint, fingerprints
from engine.family.remembering import MEMORY, remembered
from engine.study import FamilySpec
from tests import families
from tests.families import FamilyFiles


def settle(files: FamilyFiles) -> None:
    """Let every weight file look older than the clock's step."""
    for file in files.root.rglob("*.safetensors"):
        os.utime(file, ns=(0, file.stat().st_mtime_ns - 10_000_000_000))


def opened(files: FamilyFiles, *experts: str, tokenizer: str = "base") -> Family:
    places = {name: files.experts[name] for name in experts or ("helpful", "terse")}
    return open_family(FamilySpec(files.base, places, files.target, tokenizer))


def refuse_to_read(*_: object) -> None:
    raise AssertionError("a file was read again")


def test_every_model_has_its_own(files: FamilyFiles, tmp_path: Path) -> None:
    found = fingerprints(opened(files), tmp_path / "w")
    assert list(found) == ["base", "target", "helpful", "terse"]
    assert len(set(found.values())) == 4
    assert all(len(each) == 64 and int(each, 16) for each in found.values())


def test_follows_content_not_place_or_time(files: FamilyFiles, tmp_path: Path) -> None:
    first = family_fingerprint(opened(files), tmp_path / "w")
    settle(files)
    shutil.copytree(files.root, tmp_path / "copy")
    copy = FamilyFiles(
        tmp_path / "copy",
        tmp_path / "copy/base",
        tmp_path / "copy/target",
        {name: tmp_path / "copy" / name for name in files.experts},
    )
    assert family_fingerprint(opened(copy), tmp_path / "other") == first
    assert family_fingerprint(opened(copy, "terse", "helpful"), tmp_path / "other") == first
    assert family_fingerprint(opened(copy, "helpful"), tmp_path / "other") != first


def test_order_of_tensors_in_a_file_does_not_matter(files: FamilyFiles, tmp_path: Path) -> None:
    file = files.experts["padded"] / "model.safetensors"
    first = fingerprints(opened(files, "padded"), tmp_path)["padded"]
    tensors = load_file(file)
    raw = file.read_bytes()
    save_file(tensors, file, metadata={"another": "note"})
    assert file.read_bytes() != raw
    assert fingerprints(opened(files, "padded"), tmp_path)["padded"] == first


@pytest.mark.parametrize("what", ["weight", "config", "template", "generation", "choice", "scale"])
def test_sees_every_change_that_matters(what: str, files: FamilyFiles, tmp_path: Path) -> None:
    first = family_fingerprint(opened(files), tmp_path)
    tokenizer = "base"
    if what == "weight":
        file = sorted(files.experts["helpful"].glob("*.safetensors"))[0]
        raw = bytearray(file.read_bytes())
        raw[-1] ^= 1
        file.write_bytes(raw)
    elif what == "config":
        edit(files.base / "config.json", rms_norm_eps=0.5)
    elif what == "template":
        (files.base / "chat_template.jinja").write_text("another")
    elif what == "generation":
        edit(files.base / "generation_config.json", eos_token_id=[9])
    elif what == "scale":
        edit(files.experts["terse"] / "adapter_config.json", lora_alpha=9)
    else:
        tokenizer = "helpful"
    assert family_fingerprint(opened(files, tokenizer=tokenizer), tmp_path) != first


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_provenance_in_the_config_does_not_matter(files: FamilyFiles, tmp_path: Path) -> None:
    first = family_fingerprint(opened(files), tmp_path)
    edit(files.target / "config.json", _name_or_path="elsewhere", transformers_version="9")
    assert family_fingerprint(opened(files), tmp_path) == first


def test_remembered_files_are_not_read_again(
    files: FamilyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(files)
    first = fingerprints(opened(files), tmp_path)
    monkeypatch.setattr(fingerprint._Region, "digest", refuse_to_read)
    assert fingerprints(opened(files), tmp_path) == first
    file = sorted(files.experts["helpful"].glob("*.safetensors"))[0]
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    with pytest.raises(AssertionError, match="read again"):
        fingerprints(opened(files), tmp_path)


def test_files_still_warm_are_not_remembered(files: FamilyFiles, tmp_path: Path) -> None:
    for file in files.root.rglob("*.safetensors"):
        os.utime(file)
    fingerprints(opened(files), tmp_path)
    assert not (tmp_path / MEMORY).exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"files": 3}', '{"files": {"x": [1]}}', "\udcff"]
)
def test_corrupted_memory_is_written_anew(
    content: str, files: FamilyFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settle(files)
    first = fingerprints(opened(files), tmp_path)
    good = json.loads((tmp_path / MEMORY).read_text())
    (tmp_path / MEMORY).write_text(content, errors="surrogateescape")
    with caplog.at_level(logging.INFO):
        assert fingerprints(opened(files), tmp_path) == first
    assert json.loads((tmp_path / MEMORY).read_text()) == good
    if content != '{"files": {"x": [1]}}':
        assert MEMORY in caplog.text


def test_a_wrong_digit_of_a_digest_is_told_and_the_files_are_read_again(
    files: FamilyFiles, tmp_path: Path
) -> None:
    settle(files)
    first = fingerprints(opened(files), tmp_path)
    good = (tmp_path / MEMORY).read_bytes()
    (entry, *_) = json.loads(good)["files"].values()
    other = ("0" if entry[3][5] != "0" else "1").encode()
    place = good.index(entry[3].encode()) + 5
    bad = good[:place] + other + good[place + 1 :]
    (tmp_path / MEMORY).write_bytes(bad)
    assert fingerprints(opened(files), tmp_path) == first
    assert (tmp_path / MEMORY).read_bytes() == good
    (damage,) = Damaged(tmp_path).all()
    assert damage.file == MEMORY and damage.outcome == "the files are read again"
    assert (tmp_path / "damaged" / f"{damage.id}.bytes").read_bytes() == bad


def test_no_damaged_byte_of_the_memory_is_believed(files: FamilyFiles, tmp_path: Path) -> None:
    settle(files)
    fingerprints(opened(files), tmp_path)
    good = (tmp_path / MEMORY).read_bytes()
    for place in range(len(good)):
        bad = good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :]
        if place < len(good) - 1:
            assert remembered(bad) is None
    assert remembered(good) == json.loads(good)["files"]


def test_a_memory_of_the_first_version_is_read(files: FamilyFiles, tmp_path: Path) -> None:
    settle(files)
    fingerprints(opened(files), tmp_path)
    known = json.loads((tmp_path / MEMORY).read_text())["files"]
    assert remembered(json.dumps({"version": 1, "files": known}).encode()) == known


def test_wrong_digest_entry_is_ignored(files: FamilyFiles, tmp_path: Path) -> None:
    settle(files)
    first = fingerprints(opened(files), tmp_path)
    memory = json.loads((tmp_path / MEMORY).read_text())
    for entry in memory["files"].values():
        entry[3] = "short"
    (tmp_path / MEMORY).write_text(json.dumps({"version": 1, "files": memory["files"]}))
    assert fingerprints(opened(files), tmp_path) == first


def test_unwritable_workspace_still_works(
    files: FamilyFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settle(files)
    (tmp_path / "file").write_text("in the way")
    first = fingerprints(opened(files), tmp_path / "w")
    with caplog.at_level(logging.WARNING):
        assert fingerprints(opened(files), tmp_path / "file" / "w") == first
    assert "cannot be saved" in caplog.text


def test_two_processes_keep_a_sound_memory(files: FamilyFiles, tmp_path: Path) -> None:
    settle(files)
    script = (
        "import sys; from pathlib import Path\n"
        "from engine.family.compatibility import open_family\n"
        "from engine.family.fingerprint import fingerprints\n"
        "from engine.study import FamilySpec\n"
        "root, name, workspace = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])\n"
        "family = open_family(FamilySpec(root / 'base', {name: root / name}))\n"
        "for _ in range(20):\n"
        "    fingerprints(family, workspace)\n"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", script, str(files.root), name, str(tmp_path / "w")])
        for name in ("helpful", "padded")
    ]
    assert [run.wait(60) for run in runs] == [0, 0]
    remembered = json.loads((tmp_path / "w" / MEMORY).read_text())["files"]
    assert any("base" in path for path in remembered)
    assert [each.name for each in (tmp_path / "w").iterdir()] == [MEMORY]


def test_nan_names_file_and_tensor(files: FamilyFiles, tmp_path: Path) -> None:
    name = families.nan_weights(files.experts["helpful"])
    file = sorted(files.experts["helpful"].glob("*.safetensors"))[-1]
    settle(files)
    for _ in range(2):  # and what is broken is not remembered as sound
        with pytest.raises(BadInput) as caught:
            fingerprints(opened(files), tmp_path)
        assert str(file) in str(caught.value) and f"tensor {name}" in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_finite_by_type(dtype: torch.dtype, value: float, tmp_path: Path) -> None:
    extremes = torch.finfo(dtype)
    good = torch.tensor([0.0, -0.0, extremes.max, extremes.min, extremes.tiny], dtype=dtype)
    save_file({"w": good, "n": torch.full((3,), -1)}, tmp_path / "base.safetensors")
    save_file({"w": good}, tmp_path / "a.safetensors")
    spec = FamilySpec(tmp_path / "base.safetensors", {"a": tmp_path / "a.safetensors"})
    fingerprints(open_family(spec, text=False), tmp_path / "w")
    good[3] = value
    save_file({"w": good}, tmp_path / "a.safetensors")
    with pytest.raises(BadInput, match="tensor w: holds NaN or infinity"):
        fingerprints(open_family(spec, text=False), tmp_path / "w")


def test_regions_and_chunks_do_not_change_the_search(
    files: FamilyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "REGION", 1000 * 8)
    monkeypatch.setattr(fingerprint, "CHUNK", 8 * 8)
    fingerprints(opened(files), tmp_path)
    families.nan_weights(files.experts["helpful"])
    with pytest.raises(BadInput, match="NaN"):
        fingerprints(opened(files), tmp_path)


def test_file_cut_after_it_was_opened(files: FamilyFiles, tmp_path: Path) -> None:
    family = opened(files)
    families.truncated_data(files.experts["helpful"])
    with pytest.raises(BadInput, match="it ends inside tensor"):
        fingerprints(family, tmp_path)


def test_file_gone_after_it_was_opened(files: FamilyFiles, tmp_path: Path) -> None:
    family = opened(files)
    shutil.rmtree(files.experts["helpful"])
    with pytest.raises(BadInput, match="cannot be read"):
        fingerprints(family, tmp_path)


def test_tick_can_end_the_pass(files: FamilyFiles, tmp_path: Path) -> None:
    calls = []

    def tick() -> None:
        calls.append(time.monotonic())
        if len(calls) == 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        fingerprints(opened(files), tmp_path, tick)
    assert len(calls) == 3 and not (tmp_path / MEMORY).exists()
