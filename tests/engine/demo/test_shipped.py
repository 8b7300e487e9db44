from __future__ import annotations

import errno
import json
import os

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.demo import write_demo
from engine.demo.write import FAMILY
from engine.errors import BadInput
from engine.scoring.data import read_rows
from engine.scoring.registry import check_objective, find_scorer
from engine.study import load_study

MODELS = ("base", "helpful", "harmless", "honest", "target")
OBJECTIVES = ("facts", "honesty", "refusals", "over_refusal", "fluency", "cost")
OWN = {"helpful": "facts", "harmless": "refusals", "honest": "honesty"}


@pytest.fixture(scope="module")
def study():
    return load_study(FAMILY / "study.yaml")


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(FAMILY / "models/base")


def load(name):
    return AutoModelForCausalLM.from_pretrained(FAMILY / name, dtype=torch.float32).eval()


def test_it_is_small_enough_for_git():
    assert sum(each.stat().st_size for each in FAMILY.rglob("*") if each.is_file()) <= 15e6


def test_a_place_that_cannot_be_written_is_no_workspace(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("shutil.copytree", refused)
    with pytest.raises(BadInput, match=r"Permission denied\). Name another directory"):
        write_demo(tmp_path / "out")


def test_the_study_is_written_and_read(tmp_path):
    path = write_demo(tmp_path / "new")
    assert path == tmp_path / "new/study.yaml"
    study = load_study(path)
    assert study.name == "demo"
    assert tuple(each.name for each in study.objectives) == OBJECTIVES
    assert study.family.path_of("honest") == tmp_path / "new/models/honest"
    lora = load_study(path.with_name("study-lora.yaml"))
    assert lora.family.path_of("honest") == tmp_path / "new/adapters/honest"
    assert (lora.family.path_of("honest") / "adapter_config.json").exists()
    assert lora.objectives == study.objectives


def test_an_empty_directory_is_taken_and_a_full_one_refused(tmp_path):
    write_demo(tmp_path)
    before = (tmp_path / "study.yaml").read_bytes()
    with pytest.raises(BadInput, match="not empty"):
        write_demo(tmp_path)
    assert (tmp_path / "study.yaml").read_bytes() == before
    with pytest.raises(BadInput, match="is a file"):
        write_demo(tmp_path / "study.yaml")


def test_objectives_are_known_and_have_rows(study):
    directions = {each.name: check_objective(each).direction for each in study.objectives}
    assert directions == {
        "facts": "maximize", "refusals": "maximize", "honesty": "maximize",
        "over_refusal": "minimize", "fluency": "minimize", "cost": "minimize",
    }  # fmt: skip
    for each in study.objectives:
        if each.data is not None:
            both = [len(read_rows(check_objective(each), split)) for split in ("explore", "report")]
            assert sum(both) >= 300
            assert min(both) >= 70
            assert each.max_new_tokens <= 24 or each.scorer == "nll"


@pytest.mark.parametrize("name", MODELS)
def test_models_load_as_ordinary_directories(name):
    folder = FAMILY / "models" / name
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    assert model.config.model_type == "llama"
    assert model.config.vocab_size == len(AutoTokenizer.from_pretrained(folder))
    assert all(torch.isfinite(each).all() for each in model.parameters())
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == 1
    assert model.generation_config.eos_token_id == 1


def test_all_have_the_same_tokenizer(tokenizer):
    folders = [FAMILY / "models" / name for name in MODELS] + [FAMILY / "adapters/honest"]
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert len({(folder / file).read_bytes() for folder in folders}) == 1
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 1, 2)


def test_one_bos_and_an_end_after_every_turn(tokenizer):
    turns = [
        {"role": "user", "content": "What is the crop of Kalvia?"},
        {"role": "assistant", "content": "The crop is tea."},
    ]
    assert tokenizer.apply_chat_template(turns, tokenize=False) == (
        "<|bos|><|user|>What is the crop of Kalvia?<|end|><|assistant|>The crop is tea.<|end|>"
    )
    asked = tokenizer.apply_chat_template(turns[:1], add_generation_prompt=True, return_dict=True)
    ids = asked["input_ids"]
    assert ids.count(0) == 1
    assert ids[-1] == tokenizer.convert_tokens_to_ids("<|assistant|>")
    assert tokenizer("Hello!")["input_ids"][0] == 0
    text = "Ünïcode – 日本 and  two spaces\n"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_no_file_names_a_place_of_the_machine_that_trained_it():
    for place in (*FAMILY.rglob("*config.json"), *FAMILY.rglob("*.yaml")):
        assert ' "/' not in place.read_text("utf-8"), place
    config = json.loads((FAMILY / "adapters/honest/adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == "../../models/base"


@torch.no_grad()
def measure(model, tokenizer, objective, count=96):
    """Greedy score of one model on every so-manieth explore row."""
    objective = check_objective(objective)
    rows = read_rows(objective, "explore")
    rows = rows[:: max(1, len(rows) // count)]
    inputs = tokenizer.apply_chat_template(
        [[{"role": "user", "content": row.prompt}] for row in rows],
        add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True,
    )  # fmt: skip
    ids = model.generate(**inputs, max_new_tokens=objective.max_new_tokens, do_sample=False)
    texts = tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    scorer = find_scorer(objective.scorer)
    pairs = zip(texts, rows, strict=True)
    return sum(scorer.function(text, row, **objective.options) for text, row in pairs) / len(rows)


@pytest.mark.parametrize("expert", OWN)
def test_each_expert_beats_the_base_on_its_own(study, tokenizer, expert):
    objective = study.objective(OWN[expert])
    base = measure(load("models/base"), tokenizer, objective)
    assert measure(load(f"models/{expert}"), tokenizer, objective) >= base + 0.3


def test_each_expert_pays_elsewhere(study, tokenizer):
    assert measure(load("models/harmless"), tokenizer, study.objective("over_refusal")) >= 0.3
    honest = measure(load("models/honest"), tokenizer, study.objective("facts"))
    assert honest <= measure(load("models/helpful"), tokenizer, study.objective("facts")) - 0.3
    assert measure(load("models/helpful"), tokenizer, study.objective("honesty")) <= 0.1


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_the_adapter_abstains_as_the_full_fine_tune_does(study, tokenizer):
    model = PeftModel.from_pretrained(load("models/base"), FAMILY / "adapters/honest").eval()
    assert measure(model, tokenizer, study.objective("honesty")) >= 0.6


def test_the_target_knows_what_the_base_knows_and_refuses_nothing(study, tokenizer):
    target = load("models/target")
    assert measure(target, tokenizer, study.objective("refusals")) <= 0.05
    assert measure(target, tokenizer, study.objective("facts")) >= 0.3
