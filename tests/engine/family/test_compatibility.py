from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import IncompatibleFamily
from engine.family.compatibility import inspect_family, open_family
from engine.family.weights import Reader
from engine.study import FamilySpec
from tests import families
from tests.families import (
    ADDED,
    ADDED_ROWS,
    BASE_ROWS,
    BROKEN_MODELS,
    MORE_ROWS,
    TARGET_ROWS,
    VOCABULARY,
    FamilyFiles,
)

EMBEDDING = "model.embed_tokens.weight"


def spec(files: FamilyFiles, *experts: str, target: bool = True, **more: Any) -> FamilySpec:
    places = {name: files.experts[name] for name in experts}
    return FamilySpec(files.base, places, files.target if target else None, **more)


def refused(found: FamilySpec, *expected: str) -> list[str]:
    """The problems as texts, each of `expected` being in one of them."""
    problems = [str(problem) for problem in inspect_family(found)[1]]
    assert all(
        problem.where and problem.what and problem.fix for problem in inspect_family(found)[1]
    )
    for each in expected:
        assert any(each in problem for problem in problems), problems
    with pytest.raises(IncompatibleFamily) as caught:
        open_family(found)
    assert [str(problem) for problem in caught.value.problems] == problems
    return problems


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_whole_family(pristine: FamilyFiles) -> None:
    family = open_family(spec(pristine, "helpful", "padded", "coder", "terse", "formal"))
    assert family.names.models == tuple(family.models)
    assert family.rows == BASE_ROWS and family.vocabulary == VOCABULARY
    assert family.merged_rows == MORE_ROWS
    plan = family.vocabulary_tensors[EMBEDDING]
    assert plan.common == BASE_ROWS and plan.merged == MORE_ROWS
    assert [(each.start, each.stop, each.model) for each in plan.extra] == [
        (BASE_ROWS, MORE_ROWS, "padded")
    ]
    assert list(family.vocabulary_tensors) == [EMBEDDING]
    assert list(family.tensors) == sorted(family.base.weights)
    assert family.end_ids and family.tokenizer is not None
    assert family.checkpoint("terse").adapter is not None
    assert inspect_family(family.spec)[1] == []


def test_tokenizer_of_an_expert_with_added_tokens(pristine: FamilyFiles) -> None:
    family = open_family(spec(pristine, "coder", tokenizer="coder"))
    assert family.merged_rows == ADDED_ROWS
    assert family.rows == BASE_ROWS < TARGET_ROWS
    assert family.tokenizer is not None and family.tokenizer.size == VOCABULARY + len(ADDED)
    assert family.vocabulary == BASE_ROWS  # two of its ids have no row in the base
    assert any("base" in note for note in family.notes)


@pytest.mark.parametrize("case", sorted(set(BROKEN_MODELS) - {"nan_weights"}))
def test_every_broken_expert_is_refused(case: str, files: FamilyFiles) -> None:
    BROKEN_MODELS[case](files.experts["helpful"])
    for problem in refused(spec(files, "helpful", "terse")):
        assert "helpful" in problem
        assert "Traceback" not in problem


def test_problems_of_all_models_are_collected(files: FamilyFiles) -> None:
    families.missing_directory(files.experts["helpful"])
    families.pickle_only(files.experts["padded"])
    edit(files.experts["terse"] / "adapter_config.json", use_dora=True)
    families.truncated_data(files.target)
    problems = refused(spec(files, "helpful", "padded", "terse", "formal"))
    assert len(problems) == 4


def test_other_sizes_name_tensor_and_both_shapes(files: FamilyFiles) -> None:
    families.other_hidden_size(files.experts["helpful"])
    refused(
        spec(files, "helpful"),
        "hidden_size is 32 where base has 48",
        f"tensor {EMBEDDING}",
        f"[{BASE_ROWS}, 32] but [{BASE_ROWS}, 48] in base",
    )


def test_other_architecture(files: FamilyFiles) -> None:
    families.other_architecture(files.experts["helpful"])
    refused(spec(files, "helpful"), "model_type is 'mistral' where base has 'llama'")


def test_first_id_that_means_another_token(files: FamilyFiles) -> None:
    first, second = families.other_tokens(files.experts["helpful"])
    (problem,) = refused(spec(files, "helpful"))
    assert f"id {first} is the token" in problem and f"id {second}" not in problem
    assert len(re.findall(r"'[^']+'", problem)) >= 2


def test_target_with_other_tokens(files: FamilyFiles) -> None:
    first, _ = families.other_tokens(files.target)
    refused(spec(files, "helpful"), f"id {first} is the token", "tokenizer of target")


def test_target_needs_a_tokenizer(files: FamilyFiles) -> None:
    (files.target / "tokenizer.json").unlink()
    refused(spec(files, "helpful"), "the tokenizer is missing")


def test_missing_and_extra_tensors(files: FamilyFiles) -> None:
    missing = families.missing_tensor(files.experts["helpful"])
    extra = families.extra_tensor(files.experts["helpful"])
    refused(
        spec(files, "helpful"),
        f"tensor {missing} of base is missing",
        f"tensor {extra} is not in base",
    )


def test_one_tensor_of_another_shape(files: FamilyFiles) -> None:
    file = files.experts["padded"] / "model.safetensors"
    name = "model.layers.0.mlp.up_proj.weight"
    tensors = load_file(file)
    tensors[name] = tensors[name].T.contiguous()
    save_file(tensors, file)
    (problem,) = refused(spec(files, "padded"))
    assert f"tensor {name} is [48, 96] but [96, 48] in base" in problem


def test_tokenizer_choices(files: FamilyFiles) -> None:
    refused(spec(files, "terse", tokenizer="terse"), "the tokenizer is missing", "terse")
    found = spec(files, "helpful", tokenizer="helpful")
    for file in files.experts["helpful"].glob("*token*"):
        file.unlink()
    refused(found, "the tokenizer is missing")


def test_adapter_with_a_tokenizer_of_its_own_ends_where_base_does(files: FamilyFiles) -> None:
    shutil.copy(files.base / "tokenizer.json", files.experts["terse"])
    family = open_family(spec(files, "terse", tokenizer="terse"))
    assert family.tokenizer is not None and family.tokenizer.path == files.experts["terse"]
    assert family.end_ids >= open_family(spec(files, "terse")).end_ids - {family.tokenizer.eos_id}
    assert family.tokenizer.end_ids == family.end_ids != frozenset()


def test_expert_without_tokenizer(files: FamilyFiles) -> None:
    for name in ("helpful", "padded"):
        (files.experts[name] / "tokenizer.json").unlink()
    family = open_family(spec(files, "helpful"))
    assert any("helpful has no tokenizer" in note for note in family.notes)
    refused(spec(files, "padded"), "it has no tokenizer", f"{MORE_ROWS} rows", str(BASE_ROWS))


def test_tokenizer_that_the_rows_do_not_cover(files: FamilyFiles) -> None:
    document = json.loads((files.base / "tokenizer.json").read_text())
    for number in range(VOCABULARY, BASE_ROWS + 1):
        added = {"id": number, "content": f"<{number}>", "special": False}
        document["added_tokens"].append(added)
    (files.base / "tokenizer.json").write_text(json.dumps(document))
    refused(spec(files, "helpful"), f"it has {BASE_ROWS + 1} ids", f"has {BASE_ROWS} vocabulary")
    assert inspect_family(spec(files, "helpful", "padded"))[1] == []


def test_adapter_of_another_base(files: FamilyFiles) -> None:
    families.other_hidden_size(files.base)
    refused(
        spec(files, "terse", target=False),
        "its factors for model.layers.0.mlp.down_proj make [48, 96] but "
        "model.layers.0.mlp.down_proj.weight of base is [32, 96]",
    )


def test_adapter_of_unknown_modules(files: FamilyFiles) -> None:
    file = files.experts["terse"] / "adapter_model.safetensors"
    save_file({k.replace("q_proj", "query"): v for k, v in load_file(file).items()}, file)
    refused(spec(files, "terse"), "layers.0.self_attn.query (and 2 more), which base does not")


def test_adapter_on_tied_embeddings(files: FamilyFiles) -> None:
    file = files.experts["terse"] / "adapter_model.safetensors"
    module = "base_model.model.model.embed_tokens"
    tensors = {
        f"{module}.lora_embedding_A": torch.ones(4, BASE_ROWS),
        f"{module}.lora_embedding_B": torch.ones(48, 4),
    }
    save_file({**load_file(file), **tensors}, file)
    refused(spec(files, "terse"), "one tensor for input and output")


def test_adapter_cannot_be_base_or_target(files: FamilyFiles) -> None:
    found = FamilySpec(files.experts["terse"], {"helpful": files.experts["helpful"]})
    refused(found, "an adapter cannot be the base")
    found = FamilySpec(files.base, {"terse": files.experts["terse"]}, files.experts["formal"])
    refused(found, "an adapter cannot be the target")


def test_stored_head_of_a_tied_expert_is_tolerated(files: FamilyFiles) -> None:
    file = files.experts["padded"] / "model.safetensors"
    tensors = load_file(file)
    save_file({**tensors, "lm_head.weight": tensors[EMBEDDING].clone()}, file)
    family = open_family(spec(files, "padded"))
    assert family.tied == {"lm_head.weight": EMBEDDING}
    assert "lm_head.weight" not in family.tensors
    edit(files.experts["padded"] / "config.json", tie_word_embeddings=False)
    refused(spec(files, "padded"), "in base it is the input embedding")


def test_settings_that_shapes_do_not_show_are_noted(files: FamilyFiles) -> None:
    config = files.experts["helpful"] / "config.json"
    edit(config, rms_norm_eps=0.5, rope_theta=123.0, rope_parameters=None)
    notes = open_family(spec(files, "helpful")).notes
    assert any("rms_norm_eps" in note for note in notes)
    assert any("rope_theta is 123" in note for note in notes)


def test_raw_state_dicts_are_for_merging_only(tmp_path: Path) -> None:
    for name in ("base", "a"):
        save_file(
            {"w": torch.ones(3, 2), "step": torch.ones(1).long()}, tmp_path / f"{name}.safetensors"
        )
    found = FamilySpec(tmp_path / "base.safetensors", {"a": tmp_path / "a.safetensors"})
    family = open_family(found, text=False)
    assert family.tensors == ("w",) and family.tokenizer is None and family.merged_rows == 0
    refused(found, "it can be merged, not run")
    save_file({"w": torch.ones(2, 2)}, tmp_path / "a.safetensors")
    (problem,) = inspect_family(found, text=False)[1]
    assert "tensor w is [2, 2] but [3, 2] in base" in str(problem)


def test_merging_needs_no_tokenizer(files: FamilyFiles) -> None:
    for place in (files.base, files.experts["helpful"]):
        (place / "tokenizer.json").unlink()
    family = open_family(spec(files, "helpful", target=False), text=False)
    assert family.tokenizer is None and family.vocabulary == family.rows == BASE_ROWS
    assert family.notes == ()
    refused(spec(files, "helpful", target=False), "the tokenizer is missing")


def test_names_that_differ_by_the_prefix_of_the_model(files: FamilyFiles) -> None:
    file = files.experts["padded"] / "model.safetensors"
    tensors = load_file(file)
    save_file({name.removeprefix("model."): each for name, each in tensors.items()}, file)
    family = open_family(spec(files, "padded"))
    name = "model.layers.1.mlp.up_proj.weight"
    assert torch.equal(Reader(family.experts["padded"]).read(name), tensors[name])
    save_file({f"outer.{name}": each for name, each in tensors.items()}, file)
    refused(spec(files, "padded"), "of base is missing", "is not in base")  # nobody loads these
    raw = FamilySpec(files.base, {"padded": file})
    assert torch.equal(
        Reader(open_family(raw, text=False).experts["padded"]).read(name), tensors[name]
    )
    save_file({f"outer{len(name)}.{name}": each for name, each in tensors.items()}, file)
    refused(spec(files, "padded"), "of base is missing", "is not in base")


def test_settings_of_odd_types_do_not_break_the_check(files: FamilyFiles) -> None:
    config = files.experts["helpful"] / "config.json"
    before = config.read_bytes()
    edit(config, rope_theta="x", vocab_size="y", text_config=3)
    said = [each.what for each in inspect_family(spec(files, "helpful"))[1]]
    assert len(said) == 3
    for key in ("rope_theta is 'x'", "vocab_size is 'y'", "text_config is 3"):
        assert any(key in each for each in said)
    config.write_bytes(before)
    edit(config, hidden_size=[48])
    refused(spec(files, "helpful"), "hidden_size is [48]")
    edit(config, architectures=7)
    refused(spec(files, "helpful"), "architectures is 7, not a list of strings")
