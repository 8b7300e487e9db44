"""What a class of transformers says of a checkpoint's names, at check."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from engine.errors import IncompatibleFamily
from engine.family import fit
from engine.family.checkpoint import Checkpoint, open_checkpoint
from engine.family.compatibility import open_family
from engine.family.fit import PLAIN, fit_of, fit_problems, is_plain
from engine.family.tiny import tiny_document
from engine.study import FamilySpec
from tests.families import FamilyFiles
from tests.plain_names import document


def saved(kind: str, place: Path, *, original: bool = True, seed: int = 0) -> Path:
    """A tiny model of a type, in the published form or as the live module has it."""
    torch.manual_seed(seed)
    config = CONFIG_MAPPING[kind]
    module = AutoModelForCausalLM.from_config(config.from_dict(tiny_document(config().to_dict())))
    module.save_pretrained(place, save_original_format=original)
    return place


def changed(place: Path, drop: str | None = None, add: str | None = None) -> Checkpoint:
    file = place / "model.safetensors"
    tensors = load_file(file)
    if drop is not None:
        del tensors[drop]
    if add is not None:
        tensors[add] = torch.ones(2)
    save_file(tensors, file)
    return open_checkpoint(place)


def test_names_of_plain_classes_are_those_of_the_library() -> None:
    assert PLAIN.read_text(encoding="utf-8") == document()


def test_what_broke_off_is_said_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_checkpoint(saved("mamba", tmp_path / "model"))
    alone = SimpleNamespace(modules={}, executable=sys.executable)
    with monkeypatch.context() as hurried:
        hurried.setattr(fit, "sys", alone)
        hurried.setattr(fit, "PATIENCE", 0.001)
        [problem] = fit_problems(model, tmp_path / "work")
    assert "did not answer within" in problem.what and not (tmp_path / "work").exists()
    fit._ANSWERS.clear()  # as another process has it
    assert fit_problems(model, tmp_path / "work") == []


def test_a_plain_checkpoint_fits_without_asking(
    pristine: FamilyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "fit_of", None)
    for place in (pristine.base, pristine.target):
        model = open_checkpoint(place)
        assert is_plain(model) and fit_problems(model, tmp_path) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("hidden_act", "smooth", "transformers cannot load it ('smooth')"),
        ("pad_token_id", 9999, "transformers cannot load it (Padding_idx must be within"),
        ("pad_token_id", -9999, "transformers cannot load it (Padding_idx must be within"),
        ("attention_dropout", [0.1], "transformers cannot load it"),
        ("pad_token_id", -1, None),
        ("hidden_act", "gelu_new", None),
    ],
)
def test_a_setting_that_the_class_refuses_is_told(
    files: FamilyFiles, tmp_path: Path, key: str, value: object, said: str | None
) -> None:
    file = files.base / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    found = [each.what for each in fit_problems(open_checkpoint(files.base), tmp_path)]
    assert found == [] if said is None else len(found) == 1 and said in found[0]


def test_a_tensor_without_use_or_missing_is_told(files: FamilyFiles, tmp_path: Path) -> None:
    place = files.experts["padded"]
    extra = changed(place, add="model.layers.0.gate.weight")
    (problem,) = fit_problems(extra, tmp_path)
    assert "model.layers.0.gate.weight is not a parameter of LlamaForCausalLM" in problem.what
    assert [*(tmp_path / fit.MEMORY).glob("*.json")] and fit_problems(extra, tmp_path) == [problem]
    (problem,) = fit_problems(
        changed(place, drop="model.layers.0.gate.weight", add="model.layers.7.mlp.up_proj.weight"),
        tmp_path,
    )
    assert "model.layers.7.mlp.up_proj.weight" in problem.what
    missing = changed(place, drop="model.layers.7.mlp.up_proj.weight")
    assert fit_problems(missing, tmp_path) == []
    (problem,) = fit_problems(changed(place, drop="model.layers.1.mlp.up_proj.weight"), tmp_path)
    assert "parameter model.layers.1.mlp.up_proj.weight" in problem.what


def test_a_mixture_of_experts_fits(tmp_path: Path) -> None:
    place = saved("mixtral", tmp_path / "base")
    model = open_checkpoint(place)
    assert not is_plain(model) and fit_problems(model, tmp_path) == []
    spots = fit_of(model).spots
    name = "model.layers.0.block_sparse_moe.experts.{}.w{}.weight"
    first = {spots[name.format(expert, 1)] for expert in range(4)}
    assert len(first) == 4 and len(set(spots.values())) == len(spots)
    assert all(each.startswith("model.layers.0.mlp.experts.gate_up_proj|") for each in first)
    less = changed(place, drop=name.format(3, 3))
    assert "gate_up_proj" in fit_problems(less, tmp_path)[0].what or fit_problems(less, tmp_path)


def test_asked_in_a_process_of_its_own(tmp_path: Path) -> None:
    model = open_checkpoint(saved("gpt_neox", tmp_path / "base"))
    found = fit._asked_apart(model)
    assert found["misfits"] == [] and found["spots"] == dict(fit_of(model).spots)
    config = json.loads((model.path / "config.json").read_text())
    (model.path / "config.json").write_text(json.dumps(config | {"model_type": "ours"}))
    assert (
        "transformers cannot load it" in fit_problems(open_checkpoint(model.path), tmp_path)[0].what
    )


@pytest.mark.parametrize("kind", ["gpt_neox", "gemma3"])
def test_base_and_expert_in_two_forms(kind: str, tmp_path: Path) -> None:
    """embed_out and lm_head, language_model.model.… and model.language_model.…"""
    base = saved(kind, tmp_path / "base")
    expert = saved(kind, tmp_path / "expert", original=False, seed=1)
    family = open_family(FamilySpec(base, {"expert": expert}), text=False)
    mine, theirs = load_file(base / "model.safetensors"), load_file(expert / "model.safetensors")
    assert mine.keys() != theirs.keys()
    renamed = family.experts["expert"].tensors
    assert renamed.keys() == mine.keys()
    assert {info.name for info in renamed.values()} == theirs.keys()
    again = open_family(FamilySpec(expert, {"other": base}), text=False)
    assert {info.name: name for name, info in renamed.items()} == {
        name: info.name for name, info in again.experts["other"].tensors.items()
    }


def test_another_form_than_names_is_refused(tmp_path: Path) -> None:
    base = saved("mixtral", tmp_path / "base")
    expert = saved("mixtral", tmp_path / "expert", original=False)
    with pytest.raises(IncompatibleFamily, match="in a different form"):
        open_family(FamilySpec(base, {"expert": expert}), text=False)
    with pytest.raises(IncompatibleFamily, match="in a different form"):
        open_family(FamilySpec(expert, {"other": base}), text=False)
