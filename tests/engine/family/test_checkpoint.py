from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import BadInput
from engine.family.checkpoint import open_checkpoint
from engine.family.shards import INDEX, weight_files
from tests import families, oracle
from tests.families import BASE_ROWS, FamilyFiles


def test_kinds(pristine: FamilyFiles, tmp_path: Path) -> None:
    base = open_checkpoint(pristine.base)
    assert (base.kind, base.architecture, base.dtype) == (
        "full",
        "LlamaForCausalLM",
        "bfloat16",
    )
    assert base.tied and base.rows == BASE_ROWS and len(base.files) == 2
    assert base.parameters == sum(each.count for each in base.tensors.values())
    terse = open_checkpoint(pristine.experts["terse"], "terse")
    assert terse.kind == "lora" and terse.adapter is not None and terse.adapter.config.r == 4
    save_file({"w": torch.ones(2, 2), "n": torch.ones(1).long()}, tmp_path / "x.safetensors")
    raw = open_checkpoint(tmp_path / "x.safetensors", "x")
    assert raw.kind == "raw" and raw.config == {} and raw.parameters == 4 and raw.bytes == 24


def test_target_is_untied(pristine: FamilyFiles) -> None:
    target = open_checkpoint(pristine.target, "target")
    assert not target.tied and "lm_head.weight" in target.weights


def test_stored_head_of_a_tied_model_counts_once(tmp_path: Path) -> None:
    tensors = {"model.embed_tokens.weight": torch.ones(5, 2), "lm_head.weight": torch.ones(5, 2)}
    save_file(tensors, tmp_path / "model.safetensors")
    config = {"model_type": "llama", "tie_word_embeddings": True}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = open_checkpoint(tmp_path)
    assert found.tied_heads == ("lm_head.weight",) and found.parameters == 10


def test_tables_that_loaders_compute_are_no_weights(tmp_path: Path) -> None:
    tensors = {
        "h.0.attn.bias": torch.ones(1, 1, 4, 4),
        "h.0.attn.c_attn.bias": torch.ones(4),
        "h.1.attn.bias": torch.ones(4),
        "rotary_emb.inv_freq": torch.ones(2),
    }
    save_file(tensors, tmp_path / "x.safetensors")
    weights = open_checkpoint(tmp_path / "x.safetensors").weights
    assert set(weights) == {"h.0.attn.c_attn.bias", "h.1.attn.bias"}


def refused(path: Path, *expected: str) -> None:
    with pytest.raises(BadInput) as caught:
        open_checkpoint(path, "helpful")
    for each in expected:
        assert each in str(caught.value)
    assert all(problem.fix for problem in caught.value.problems)


def test_nothing_there(tmp_path: Path) -> None:
    refused(tmp_path / "gone", "no such file or directory", "helpful")
    refused(tmp_path, "neither config.json nor adapter_config.json")


def test_what_is_neither_file_nor_directory(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    refused(tmp_path / "pipe.safetensors", "it is a named pipe, not a directory")
    refused(Path("/dev/zero"), "it is a device, not a directory")


def test_pickles(files: FamilyFiles, tmp_path: Path) -> None:
    families.pickle_only(files.experts["helpful"])
    refused(files.experts["helpful"], "pytorch_model.bin", "safetensors", "pickle")
    for name in ("x.bin", "x.pt", "x.pth"):
        (tmp_path / name).write_bytes(b"")
        refused(tmp_path / name, "pickle")
    (files.experts["terse"] / "adapter_model.safetensors").rename(
        files.experts["terse"] / "adapter_model.bin"
    )
    refused(files.experts["terse"], "adapter_model.bin", "pickle")


def test_other_files(files: FamilyFiles, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"")
    refused(tmp_path / "x.gguf", "not a .safetensors file")
    place = files.experts["padded"]
    (place / "model.safetensors").rename(place / "weights.safetensors")
    refused(place, "there is no model.safetensors; there is weights.safetensors")


def test_config_problems_come_with_those_of_weights(files: FamilyFiles) -> None:
    place = files.experts["padded"]
    (place / "config.json").write_text('{"vocab_size": 3,\n}')
    families.truncated_data(place)
    refused(place, "config.json:2: not JSON", "truncated")
    (place / "config.json").write_text('{"vocab_size": 3}')
    refused(place, "'model_type' is missing", "truncated")


def test_rows_that_are_not_as_configured(files: FamilyFiles) -> None:
    place = files.experts["padded"]
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | {"vocab_size": 704}))
    refused(place, "vocab_size is 704", "model.embed_tokens.weight", "312 rows")


def test_what_transformers_reads_and_only_that(files: FamilyFiles) -> None:
    place = files.experts["helpful"]
    index, first, second = weight_files(place)
    assert index.name == INDEX and {first, second} == set(open_checkpoint(place).files)
    tensors = load_file(first) | load_file(second)
    changed = {name: torch.zeros_like(each) for name, each in tensors.items()}
    save_file(changed, place / "consolidated.safetensors")
    save_file(changed, place / "model.fp16.safetensors")
    save_file(changed, place / "model-00003-of-00003.safetensors")
    assert set(open_checkpoint(place).files) == {first, second}
    save_file(changed, place / "model.safetensors", metadata={"format": "pt"})
    assert weight_files(place) == [place / "model.safetensors"]
    assert open_checkpoint(place).files == (place / "model.safetensors",)
    model = oracle.load(place)
    assert all(not each.any() for each in model.state_dict().values())
    save_file(changed, place / "shard-00001-model-00001-of-00001.safetensors")
    refused(place, "distributed checkpoint")


def test_weights_under_another_name(files: FamilyFiles) -> None:
    place = files.experts["padded"]
    config = json.loads((place / "config.json").read_text())
    named = config | {"transformers_weights": "other.safetensors"}
    (place / "config.json").write_text(json.dumps(named))
    refused(place, "transformers_weights")


def test_an_index_that_transformers_does_not_read(files: FamilyFiles) -> None:
    place = files.experts["helpful"]
    document = json.loads((place / INDEX).read_text())
    document.pop("metadata")
    (place / INDEX).write_text(json.dumps(document))
    refused(place, "no 'metadata'")


@pytest.mark.parametrize(
    "shard",
    ["../base/model-00001-of-00002.safetensors", "/etc/passwd.safetensors", "a/b.safetensors",
     "..", "", "x.bin", "a\\b.safetensors"],
)  # fmt: skip
def test_index_cannot_lead_out_of_the_directory(shard: str, files: FamilyFiles) -> None:
    index = files.experts["helpful"] / "model.safetensors.index.json"
    document = json.loads(index.read_text())
    document["weight_map"]["model.norm.weight"] = shard
    index.write_text(json.dumps(document))
    refused(files.experts["helpful"], str(index), "not the plain name", repr(shard))


def test_index_against_shards(files: FamilyFiles) -> None:
    place = files.experts["helpful"]
    index = place / "model.safetensors.index.json"
    document = json.loads(index.read_text())
    first = sorted(set(document["weight_map"].values()))[0]
    document["weight_map"]["model.gone.weight"] = first
    index.write_text(json.dumps(document))
    refused(place, f"tensor model.gone.weight is not in {first}")
    missing = families.shard_missing(place)
    refused(place, f"the shard {missing} is missing", "model.gone.weight")
    index.write_text('{"weight_map": {"a": 3}}')
    refused(place, "weight_map must map")


def test_tensor_in_two_shards(files: FamilyFiles) -> None:
    place = files.experts["helpful"]
    first, second = sorted(place.glob("*.safetensors"))
    shutil.copy(first, second)
    refused(place, f"{first.name} and {second.name}")


def test_shards_may_be_links(files: FamilyFiles, tmp_path: Path) -> None:
    place = files.experts["helpful"]
    for each in sorted(place.glob("*.safetensors")):
        blob = tmp_path / f"blob-{each.name[6:11]}"
        each.rename(blob)
        each.symlink_to(blob)
    assert open_checkpoint(place).kind == "full"


def test_embedding_of_an_impossible_shape(tmp_path: Path) -> None:
    save_file({"model.embed_tokens.weight": torch.tensor(1.0)}, tmp_path / "x.safetensors")
    assert open_checkpoint(tmp_path / "x.safetensors").rows == 0


def test_unreadable_directory(files: FamilyFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    refused(files.base, "Permission denied")
