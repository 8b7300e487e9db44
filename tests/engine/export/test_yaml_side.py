"""What stands beside the weights of a mergekit YAML's result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

import engine
from engine.errors import BadInput
from engine.export.mergefile import merge, read_mergefile
from engine.export.yaml_side import resized_config, stacked_config
from tests.engine.mergekit.cases import merge as document
from tests.engine.mergekit.cases import source
from tests.engine.mergekit.tiny import WORDS, build

assert engine.merging

TEMPLATES = {
    "base": "{{ messages }} of base",
    "a": " {{ messages }} of a ",
    "b": "{{ messages }} of a",
}
LINEAR = document("linear", *((name, {"weight": 1}) for name in ("base", "a", "b")))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("models"), "words")


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Callable[..., Path]:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)

    def merged(given: dict[str, Any], **more: Any) -> Path:
        (tmp_path / "merge.yaml").write_text(yaml.safe_dump(given | more))
        read_mergefile(tmp_path / "merge.yaml")
        merge(tmp_path / "merge.yaml", tmp_path / "out", workspace=tmp_path / "w", device="cpu")
        return tmp_path / "out"

    return merged


@pytest.mark.parametrize(("said", "owner"), [("base", "base"), ("./b", "b")])
def test_the_tokenizer_that_is_named(run: Callable[..., Path], said: str, owner: str) -> None:
    out = run(LINEAR, tokenizer_source=said)
    found = AutoTokenizer.from_pretrained(out, local_files_only=True).get_vocab()
    assert found == {token: number for number, token in enumerate(WORDS[owner])}
    assert json.loads((out / "config.json").read_text())["vocab_size"] == len(found)


def test_the_union_of_all_tokenizers(run: Callable[..., Path], tmp_path: Path) -> None:
    file = tmp_path / "b/tokenizer.json"
    data = json.loads(file.read_text())
    special = {"special": True, "normalized": False, "content": "<tool>", "id": 23}
    data["added_tokens"].append({**data["added_tokens"][0], **special})
    file.write_text(json.dumps(data))
    out = run(LINEAR, tokenizer_source="union")
    tokenizer = AutoTokenizer.from_pretrained(out, local_files_only=True)
    more = ("red", "blue", "green", "<tool>")
    wanted = {token: number for number, token in enumerate((*WORDS["base"], *more))}
    assert tokenizer.get_vocab() == wanted
    text = "w3 blue<tool>w19 green"
    assert tokenizer(text)["input_ids"] == [
        wanted[each] for each in ("w3", "blue", "<tool>", "w19", "green")
    ]
    assert tokenizer.decode([wanted["<tool>"]], skip_special_tokens=True) == ""
    assert json.loads((out / "config.json").read_text())["vocab_size"] == 27


def test_a_template_is_the_tokenizers(run: Callable[..., Path], tmp_path: Path) -> None:
    settings = tmp_path / "base/tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "chat_template": "old"}))
    text = "{% for message in messages %}{{ message.content }}!{% endfor %}"
    out = run(LINEAR, tokenizer_source="base", chat_template=text)
    tokenizer = AutoTokenizer.from_pretrained(out, local_files_only=True)
    assert tokenizer.chat_template == text


def test_the_template_that_most_models_have(run: Callable[..., Path], tmp_path: Path) -> None:
    for name, template in TEMPLATES.items():
        (tmp_path / name / "chat_template.jinja").write_text(template)
    out = run(LINEAR, tokenizer_source="base", chat_template="auto")
    assert (out / "chat_template.jinja").read_text() == "{{ messages }} of a"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"chat_template": "chatml"}, "'chatml' is no Jinja text"),
        ({"tokenizer_source": "./c"}, "not one of the models"),
        ({"tokenizer_source": ["base"]}, "expected a path"),
        ({}, "tokenizer of a-1.*id 15"),  # ids of other tokens, and nothing that says what to do
    ],
)
def test_is_refused(run: Callable[..., Path], more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        run(LINEAR, **({"tokenizer_source": "base"} if more else {}) | more)


def test_a_tokenizer_whose_tokens_have_no_rows(run: Callable[..., Path], tmp_path: Path) -> None:
    shutil.copy(tmp_path / "base/tokenizer.json", tmp_path / "a/tokenizer.json")
    with pytest.raises(BadInput, match="has 23 tokens and its embedding 17 rows"):
        run(LINEAR, tokenizer_source="./a")


def test_a_model_without_a_tokenizer_has_the_bases(
    run: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "b/tokenizer.json").unlink()
    assert run(LINEAR, tokenizer_source="base").exists()
    (tmp_path / "base/tokenizer.json").unlink()
    with pytest.raises(BadInput, match="no readable tokenizer"):
        run(LINEAR, tokenizer_source="base")


def test_a_stack_has_the_layers_that_it_says() -> None:
    first = {"num_hidden_layers": 3, "layer_types": ["a", "b", "c"], "eos_token_id": [1, 2, 3]}
    other = {"num_hidden_layers": 2, "layer_types": ["x", "y"]}
    config = json.loads(json.dumps(first))
    stacked_config(config, [(first, 0), (first, 2), (other, 1), (other, 1)], "here")
    assert config == {
        "num_hidden_layers": 4, "layer_types": ["a", "c", "y", "y"], "eos_token_id": [1, 2, 3],
    }  # fmt: skip
    nested = {"text_config": dict(first), "vocab_size": 9}
    stacked_config(nested, [({"text_config": first}, 1)], "here")
    resized_config(nested, 5)
    assert nested["text_config"]["layer_types"] == ["b"] and nested["vocab_size"] == 5
    with pytest.raises(BadInput, match=r"here: .*mlp_only_layers"):
        stacked_config({"num_layers": 2, "mlp_only_layers": [1]}, [(first, 0)], "here")


def test_what_is_said_of_every_layer_is_stacked_whatever_it_is_called() -> None:
    first = {
        "n_layer": 3, "intermediate_size": [8, 16, 24], "hybrid_override_pattern": "M*-",
        "indexer_types": ["full", "shared", "shared"], "architectures": ["A", "B", "C"],
    }  # fmt: skip
    deep = {
        "n_layer": 4, "intermediate_size": [1, 2, 3, 4], "hybrid_override_pattern": "MM*-",
        "indexer_types": ["full"] * 4,
    }  # fmt: skip
    config = json.loads(json.dumps(first))
    stacked_config(config, [(first, 1), (deep, 3), (first, 2), (first, 2)], "here")
    assert config == {
        "n_layer": 4, "intermediate_size": [16, 4, 24, 24], "hybrid_override_pattern": "*---",
        "indexer_types": ["shared", "full", "shared", "shared"], "architectures": ["A", "B", "C"],
    }  # fmt: skip
    plain = {"n_layer": 3, "intermediate_size": 32, "indexer_types": None}
    config = json.loads(json.dumps(first))
    stacked_config(config, [(plain, 1), (first, 2)], "here")
    assert config["intermediate_size"] == [32, 24]  # one value for all layers
    assert config["indexer_types"] == ["shared", "shared"]  # none: the base's
    stacked_config(plain, [(plain, 0)], "here")
    assert plain == {"n_layer": 1, "intermediate_size": 32, "indexer_types": None}
    with pytest.raises(BadInput, match=r"here: layers have parts .*hidden_size_per_layer_input"):
        stacked_config({"num_layers": 2, "hidden_size_per_layer_input": 8}, [(first, 0)], "here")


def test_a_stack_is_written_with_its_number_of_layers(run: Callable[..., Path]) -> None:
    given = {
        "merge_method": "passthrough",
        "slices": [{"sources": [source("base", 0, 2)]}, {"sources": [source("base", 1, 3)]}],
    }
    config = json.loads((run(given) / "config.json").read_text())
    assert config["num_hidden_layers"] == 4


def test_memory_is_what_the_method_and_the_types_take(
    run: Callable[..., Path], tmp_path: Path
) -> None:
    def needed(method: str, **more: Any) -> int:
        given = document(method, ("a", {"weight": 1}), base_model="./base", **more)
        given |= {"parameters": {"weight": 1}}
        (tmp_path / "m.yaml").write_text(yaml.safe_dump(given | {"tokenizer_source": "base"}))
        return read_mergefile(tmp_path / "m.yaml").working_memory()

    light, heavy = needed("task_arithmetic"), needed("multislerp")
    assert light < heavy
    assert needed("task_arithmetic", dtype="bfloat16") >= light
    with pytest.raises(BadInput, match=r"--memory: .*Allow at least that"):
        merge(tmp_path / "m.yaml", tmp_path / "no", memory=light - 1, workspace=tmp_path / "w")
    done = merge(tmp_path / "m.yaml", tmp_path / "yes", memory=heavy, workspace=tmp_path / "w")
    assert "model.safetensors" in done["files"]


def test_the_configuration_says_the_type_that_is_written(
    run: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "base/model.safetensors"
    save_file({name: each.bfloat16() for name, each in load_file(file).items()}, file)
    config = tmp_path / "base/config.json"
    config.write_text(config.read_text().replace("float32", "bfloat16"))
    out = run(LINEAR, tokenizer_source="base")  # float32 holds both
    assert load_file(out / "model.safetensors")["model.norm.weight"].dtype == torch.float32
    assert json.loads((out / "config.json").read_text())["dtype"] == "float32"


@pytest.mark.parametrize(("more", "kind"), [({}, "float32"), ({"out_dtype": "float16"}, "float16")])
def test_a_result_wider_than_the_type_that_it_is_merged_in(
    run: Callable[..., Path], more: dict[str, Any], kind: str
) -> None:
    given = document("arcee_fusion", ("a", {}), base_model="./base", dtype="bfloat16", **more)
    out = run(given, tokenizer_source="base")
    found = {each.dtype for each in load_file(out / "model.safetensors").values()}
    assert found == {getattr(torch, kind)}
    assert json.loads((out / "config.json").read_text())["dtype"] == kind
