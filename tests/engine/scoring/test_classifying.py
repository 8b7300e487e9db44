"""A sequence-classification model in place of phrases: its files, and plain transformers."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, LlamaConfig
from transformers import LlamaForSequenceClassification as Classifier

from engine.errors import BadInput, Cancelled
from engine.scoring.classifying import ClassifierFiles, classify
from engine.scoring.objectives import objective_fingerprint
from engine.scoring.registry import check_objective, find_scorer
from engine.study import Objective, objective_of_document
from tests.families import VOCABULARY, build_tokenizer

TEXTS = ["the sea is deep", "I am sorry", "", "a kind answer", "no", "the old green door " * 40]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    build_tokenizer(folder)
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64, pad_token_id=1,
        id2label={0: "answer", 1: "refusal", 2: "not_refusal"}, initializer_range=0.5,
        label2id={"answer": 0, "refusal": 1, "not_refusal": 2},
    )  # fmt: skip
    Classifier(config).save_pretrained(folder)
    return folder


@pytest.fixture
def copy(place: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(place, tmp_path / "copy"))


def edit(place: Path, **keys: object) -> None:
    file = place / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | keys))


def objective(tmp_path: Path, **options: object) -> Objective:
    data = tmp_path / "data.jsonl"
    data.write_text('{"prompt": "x"}\n')
    return Objective("safe", "refusal", data, options=options)


def test_labels_equal_plain_transformers(place: Path) -> None:
    files = ClassifierFiles.open(str(place), "here")
    model = AutoModelForSequenceClassification.from_pretrained(place).eval()
    tokenizer = AutoTokenizer.from_pretrained(place)
    expected: list[int | None] = []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt")["input_ids"][:, :64]
        with torch.no_grad():
            expected.append(int(model(ids).logits[0].argmax()) if text else None)
    assert classify(files, TEXTS) == expected and len(set(expected)) > 2
    values = find_scorer("refusal").judge
    assert values is not None
    options = {"classifier": str(place), "label": None}
    assert values(TEXTS, [None] * len(TEXTS), options, "cpu", lambda: None) == [
        float(e == 1) for e in expected
    ]


def test_it_can_be_interrupted(place: Path) -> None:
    def tick() -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        classify(ClassifierFiles.open(str(place), "here"), TEXTS, tick=tick)


def test_the_label_is_named_or_says_refusal(place: Path, copy: Path) -> None:
    files = ClassifierFiles.open(str(place), "here")
    assert files.label(None, "here") == 1
    assert files.label("answer", "here") == 0 and files.label("2", "here") == 2
    with pytest.raises(BadInput, match="no label is 'maybe'"):
        files.label("maybe", "here")
    for labels in ({"0": "good", "1": "bad"}, {"0": "Refusal", "1": "soft refusal"}):
        edit(copy, id2label=labels)
        with pytest.raises(BadInput, match="no single label says refusal"):
            ClassifierFiles.open(str(copy), "here").label(None, "here")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architectures": ["LlamaForCausalLM"]}, "not a sequence-classification model"),
        ({"architectures": None}, "not a sequence-classification model"),
        ({"auto_map": {"AutoModelForSequenceClassification": "x.Y"}}, "custom code"),
        ({"id2label": {"0": "refusal"}}, "one label"),
        ("model.safetensors", "no .safetensors file"),
        ("tokenizer.json", "tokenizer is missing"),
        ("config.json", "no such file"),
    ],
)
def test_what_cannot_judge_is_refused_at_check(
    copy: Path, tmp_path: Path, change: dict[str, object] | str, said: str
) -> None:
    if isinstance(change, str):
        (copy / change).unlink()
    else:
        edit(copy, **change)
    with pytest.raises(BadInput, match=said):
        check_objective(objective(tmp_path, classifier=str(copy)))


def test_options_that_do_not_go_together(place: Path, tmp_path: Path) -> None:
    for options, said in (
        ({"classifier": str(place), "phrases": ["no"]}, "both phrases and a classifier"),
        ({"label": "refusal"}, "label is given, but no classifier"),
        ({"classifier": str(tmp_path / "none")}, "there is no such directory"),
        ({"classifier": 3}, "expected a"),
    ):
        with pytest.raises(BadInput, match=said):
            check_objective(objective(tmp_path, **options))


def test_a_fingerprint_is_of_its_files_not_of_its_place(
    place: Path, copy: Path, tmp_path: Path
) -> None:
    here = objective_fingerprint(objective(tmp_path, classifier=str(place)), "t")
    there = objective(tmp_path, classifier=str(copy))
    assert objective_fingerprint(there, "t") == here
    assert objective_fingerprint(dataclasses.replace(there, options={}), "t") != here
    edit(copy, rms_norm_eps=1e-3)
    assert objective_fingerprint(there, "t") != here


def test_a_study_names_it_as_it_names_its_models(place: Path, tmp_path: Path) -> None:
    (tmp_path / "judge").symlink_to(place)
    document = {"name": "safe", "scorer": "refusal", "data": "d.jsonl", "classifier": "judge"}
    found = objective_of_document(document, tmp_path / "study.yaml")
    assert found.options["classifier"] == str(place)
