from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import IncompatibleFamily
from engine.export.layout import model_files
from engine.export.mergefile import merge
from engine.family.compatibility import open_family
from engine.study import FamilySpec
from tests.families import FamilyFiles


def edit(place: Path, **changes: Any) -> None:
    file = place / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def spec(files: FamilyFiles) -> FamilySpec:
    return FamilySpec(files.base, {"helpful": files.experts["helpful"]})


def bring_code(place: Path) -> None:
    edit(place, auto_map={"AutoModelForCausalLM": "modeling_new.NewModel"})
    (place / "modeling_new.py").write_text("from . import parts_new\nraise SystemExit('it ran')\n")
    (place / "parts_new.py").write_text("")
    (place / "ranks.tiktoken").write_text("IQ== 0\n")


def test_code_is_told_copied_and_never_run(files: FamilyFiles, tmp_path: Path) -> None:
    for place in (files.base, files.experts["helpful"]):
        bring_code(place)
    family = open_family(spec(files))
    assert ["names its own code (modeling_new)" in note for note in family.notes].count(True) == 2
    mergefile = tmp_path / "merge.yaml"
    mergefile.write_text(
        f"base: {files.base}\nexperts: {{helpful: {files.experts['helpful']}}}\n"
        "method: linear\ncoefficients: {helpful: 1}\n"
    )
    done = merge(mergefile, tmp_path / "out", workspace=tmp_path / "w", device="cpu")
    assert sorted(set(done["files"])) == done["files"]
    brought = {"modeling_new.py", "parts_new.py", "ranks.tiktoken"}
    assert brought <= {each.name for each in (tmp_path / "out").iterdir()}
    assert brought <= {each.name for each in model_files(files.base)}


def test_scripts_beside_a_model_are_not_its_code(files: FamilyFiles) -> None:
    (files.base / "train.py").write_text("")
    assert "train.py" not in {each.name for each in model_files(files.base)}


def test_a_class_that_transformers_lacks(files: FamilyFiles) -> None:
    for place in (files.base, files.experts["helpful"]):
        bring_code(place)
        edit(place, model_type="new")
    with pytest.raises(IncompatibleFamily) as caught:
        open_family(spec(files))
    what = str(caught.value)
    assert "no causal language model of its own for model_type 'new'" in what
    assert "(modeling_new) is never run" in what
    assert open_family(spec(files), text=False).tensors  # its weights merge


def test_a_copy_takes_what_transformers_reads(files: FamilyFiles) -> None:
    place = files.experts["padded"]
    for name in ("consolidated.safetensors", "model-00001-of-00002.safetensors", "notes.txt"):
        (place / name).write_bytes((place / "model.safetensors").read_bytes())
    index = {"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (place / "model.safetensors.index.json").write_text(json.dumps(index))
    names = {each.name for each in model_files(place)}
    assert [each for each in names if "safetensors" in each] == ["model.safetensors"]
    assert {"config.json", "tokenizer.json", "generation_config.json"} <= names
    assert {each.name for each in model_files(files.experts["terse"])} >= {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
