"""Heads that are the embedding, are a copy of it, or only should be: against plain transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.compose import Composer
from engine.errors import BadInput, IncompatibleFamily
from engine.export.mergefile import merge
from engine.family.checkpoint import open_checkpoint
from engine.family.compatibility import open_family
from engine.family.ties import same_values
from engine.recipe import Recipe
from engine.study import FamilySpec
from tests import families, oracle

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
IDS = torch.tensor([[5, 80, 81, 90, 17]])


def write(place: Path, seed: int, *, head: str = "", tie: Any = "absent") -> Path:
    """A tiny Gemma 2, which ties by its class's default.

    Args:
        head: "copy" or "own" stores one beside the embedding, "alone" in its place.
        tie: the key in config.json.
    """
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(seed)
    config = Gemma2Config(
        vocab_size=families.BASE_ROWS, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=16, max_position_embeddings=64,
        eos_token_id=2, bos_token_id=0, pad_token_id=1, initializer_range=0.2,
    )  # fmt: skip
    Gemma2ForCausalLM(config).save_pretrained(place)
    file = place / "model.safetensors"
    tensors = load_file(file)
    if head == "copy":
        tensors[HEAD] = tensors[EMBEDDING].clone()
    elif head == "own":
        tensors[HEAD] = torch.randn(tensors[EMBEDDING].shape) * 0.2
    elif head == "alone":
        tensors[HEAD] = tensors.pop(EMBEDDING)
    save_file(tensors, file, metadata={"format": "pt"})
    document = json.loads((place / "config.json").read_text())
    document.pop("tie_word_embeddings", None)
    if tie != "absent":
        document["tie_word_embeddings"] = tie
    (place / "config.json").write_text(json.dumps(document))
    families.build_tokenizer(place)
    return place


def logits(model: torch.nn.Module) -> Tensor:
    with torch.no_grad():
        return model(IDS).logits[0].float()


def composed(base: Path, expert: Path, recipe: Recipe) -> Tensor:
    family = open_family(FamilySpec(base, {"a": expert}))
    model = Composer(family, device="cpu", compute_dtype="float32").compose(recipe)
    return logits(model.modules[0])


ONE = Recipe("task_arithmetic", {"a": 1.0}, {"strength": 1.0})
HALF = Recipe("linear", {"a": 0.5, "base": 0.5}, {})
ALONE = Recipe("single", {}, {"model": "a"})


@pytest.mark.parametrize(
    ("base", "expert"),
    [("", "copy"), ("copy", ""), ("alone", ""), ("", "alone"), ("alone", "copy"), ("own", "own")],
)
def test_a_corner_is_the_expert_as_transformers_loads_it(
    base: str, expert: str, tmp_path: Path
) -> None:
    write(tmp_path / "base", 1, head=base)
    write(tmp_path / "a", 2, head=expert)
    wanted = logits(oracle.load(tmp_path / "a"))
    for recipe in (ONE, ALONE):
        found = composed(tmp_path / "base", tmp_path / "a", recipe)
        torch.testing.assert_close(found, wanted, rtol=0, atol=2e-5)
    both = [load_plain(tmp_path / each) for each in ("base", "a")]
    halves = oracle.load(tmp_path / "a")
    if base == "own":
        halves.lm_head.weight = torch.nn.Parameter(halves.lm_head.weight.clone())
    with torch.no_grad():
        for name, tensor in halves.named_parameters():
            tensor.copy_((both[0][name] + both[1][name]) / 2)
    found = composed(tmp_path / "base", tmp_path / "a", HALF)
    torch.testing.assert_close(found, logits(halves), rtol=0, atol=2e-5)


def load_plain(place: Path) -> dict[str, Tensor]:
    return {name: each.detach() for name, each in oracle.load(place).state_dict().items()}


def test_an_untied_base_takes_the_embedding_of_a_tied_expert_for_its_head(tmp_path: Path) -> None:
    write(tmp_path / "base", 1, head="own", tie=False)
    write(tmp_path / "a", 2)
    found = composed(tmp_path / "base", tmp_path / "a", ONE)
    torch.testing.assert_close(found, logits(oracle.load(tmp_path / "a")), rtol=0, atol=2e-5)


def test_a_merge_of_heads_of_their_own_loads_as_it_was_scored(tmp_path: Path) -> None:
    for name, seed in (("base", 1), ("a", 2)):
        write(tmp_path / name, seed, head="own")
    file = tmp_path / "merge.yaml"
    file.write_text("base: base\nexperts: {a: a}\nmethod: linear\ncoefficients: {a: 1, base: 1}\n")
    merge(file, tmp_path / "out", workspace=tmp_path / "w", device="cpu")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["tie_word_embeddings"] is False
    found = composed(tmp_path / "base", tmp_path / "a", HALF)
    torch.testing.assert_close(logits(oracle.load(tmp_path / "out")), found, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("head", "tie", "said"),
    [
        ("own", "absent", "tensor lm_head.weight differs from its embedding"),
        ("own", False, "its output projection is a tensor of its own"),
    ],
)
def test_a_tied_base_and_a_head_of_its_own(head: str, tie: Any, said: str, tmp_path: Path) -> None:
    write(tmp_path / "base", 1)
    write(tmp_path / "a", 2, head=head, tie=tie)
    with pytest.raises(IncompatibleFamily) as caught:
        open_family(FamilySpec(tmp_path / "base", {"a": tmp_path / "a"}))
    (problem,) = caught.value.problems
    assert said in problem.what and problem.where.startswith("a (")
    # a raw state dict says nothing, so it is the base's configuration that it does not fit
    raw = FamilySpec(tmp_path / "base", {"a": tmp_path / "a" / "model.safetensors"})
    with pytest.raises(IncompatibleFamily, match="though base ties it"):
        open_family(raw, text=False)


def test_no_head_and_no_tie_is_refused_before_loading(tmp_path: Path) -> None:
    write(tmp_path / "base", 1, tie=False)
    write(tmp_path / "a", 2, tie=False)
    with pytest.raises(IncompatibleFamily, match=r"lm_head\.weight.* is not stored"):
        open_family(FamilySpec(tmp_path / "base", {"a": tmp_path / "a"}))
    open_family(FamilySpec(tmp_path / "base", {"a": tmp_path / "a"}), text=False)


def test_a_class_that_blanks_its_padding_token_on_loading(tmp_path: Path) -> None:
    from transformers import YoutuConfig, YoutuForCausalLM

    for seed, name in enumerate(("base", "a")):
        torch.manual_seed(seed)
        config = YoutuConfig(
            vocab_size=families.BASE_ROWS, hidden_size=32, intermediate_size=32,
            num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, kv_lora_rank=8,
            q_lora_rank=8, qk_rope_head_dim=8, v_head_dim=8, qk_nope_head_dim=8, pad_token_id=1,
            eos_token_id=2, bos_token_id=0, max_position_embeddings=64,
        )  # fmt: skip
        model = YoutuForCausalLM(config)
        model.model.embed_tokens.weight.data.normal_()
        model.save_pretrained(tmp_path / name)
        families.build_tokenizer(tmp_path / name)
    expert = oracle.load(tmp_path / "a")
    assert not expert.get_input_embeddings().weight[1].any()
    found = composed(tmp_path / "base", tmp_path / "a", ONE)
    torch.testing.assert_close(found, logits(expert), rtol=0, atol=2e-5)


def test_a_head_of_its_own_is_told(tmp_path: Path) -> None:
    write(tmp_path / "base", 1, head="own")
    write(tmp_path / "a", 2, head="own")
    notes = open_family(FamilySpec(tmp_path / "base", {"a": tmp_path / "a"})).notes
    assert [each.partition(":")[0] for each in notes] == ["base", "a"]
    assert all("stays untied" in each for each in notes)


def test_equal_numbers_in_other_types(tmp_path: Path) -> None:
    numbers = torch.tensor([[1.5, -2.0], [0.0, 3.0]])
    tensors = {
        "a": numbers,
        "b": numbers.bfloat16(),
        "c": torch.where(numbers == 0, -0.0, numbers),
        "d": numbers.half() + 1,
        "e": torch.full((2, 2), float("nan")),
        "f": numbers.clone().reshape(4),
        "g": numbers.double(),
    }
    save_file(tensors, tmp_path / "x.safetensors")
    found = open_checkpoint(tmp_path / "x.safetensors", "x").tensors
    equal = {name for name in tensors if same_values(found["a"], found[name])}
    assert equal == {"a", "b", "c", "g"}


def test_a_file_that_ends_within_a_head(tmp_path: Path) -> None:
    place = write(tmp_path / "base", 1, head="copy")
    data = (place / "model.safetensors").read_bytes()
    (place / "model.safetensors").write_bytes(data[:-8])
    with pytest.raises(BadInput, match="truncated"):
        open_checkpoint(place)
