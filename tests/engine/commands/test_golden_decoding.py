"""Vectors of published decoding code, through the command line on a study of their models.

The models have no tokenizer: one word an id stands for it, so that texts and ids are the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers

from tests import headless

GOLDEN = Path(__file__).parents[2] / "golden" / "decoding"
IDS = 256
NAMES = {"base": "antiexpert", "target": "base", "expert": "expert", "expert2": "expert2"}
"""Model of the study -> model of the vectors: the small one that is subtracted is its base."""

Rows = NDArray[np.float64]


def words(ids: list[int]) -> str:
    return " ".join(f"w{each}" for each in ids)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("golden")
    special = {0: "<pad>", 1: "<s>", 2: "</s>"}
    entries = {special.get(each, f"w{each}"): each for each in range(IDS)}
    tokenizer = Tokenizer(models.WordLevel(entries, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
    }
    for name, golden in NAMES.items():
        place = root / name
        place.mkdir()
        for file in (GOLDEN / "models" / golden).iterdir():
            (place / file.name).symlink_to(file)
        tokenizer.save(str(place / "tokenizer.json"))
        (place / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    texts = np.load(GOLDEN / "teacher_forced_logits.npz")["text"].tolist()
    rows = [{"prompt": words(ids[:1]), "target": f" {words(ids[1:])}"} for ids in texts]
    data = "".join(f"{json.dumps(row)}\n" for row in rows)
    (root / "texts.jsonl").write_text(data, encoding="utf-8")
    document = {
        "study": "golden",
        "family": {
            "base": "base",
            "target": "target",
            "experts": {"expert": "expert", "expert2": "expert2"},
        },
        "objectives": [
            {"name": "nll", "data": "texts.jsonl", "scorer": "nll", "report_fraction": 0.0}
        ],
    }
    (root / "study.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return root / "study.yaml"


@pytest.fixture
def command(study: Path, tmp_path: Path) -> Callable[..., Any]:
    def run(name: str, recipe: dict[str, Any], *more: object) -> Any:
        file = tmp_path / "recipe.yaml"
        file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
        ran = headless.run(
            tmp_path / "home", name, study, "--recipe", file, "--device", "cpu", *more
        )
        assert ran.code == 0, ran.err
        return ran.document

    return run


def test_proxy_tuning_writes_the_published_texts(command: Callable[..., Any]) -> None:
    with np.load(GOLDEN / "proxy_tuning_e2e.npz") as data:
        alphas, wanted = data["alphas"].tolist(), data["out_token_ids"].tolist()
        pairs = zip(data["input_ids"], data["attention_mask"], strict=True)
        prompts = [ids[real > 0].tolist() for ids, real in pairs]
    asked = [each for ids in prompts for each in ("--prompt", words(ids))]
    for alpha, want in zip(alphas, wanted, strict=True):
        recipe = {"method": "proxy_tuning", "coefficients": {"expert": alpha}}
        outputs = command("generate", recipe, *asked, "--max-new-tokens", 24)["outputs"]
        ended = [ids[: ids.index(2)] if 2 in ids else ids for ids in want]
        assert [each["token_ids"] for each in outputs] == ended
        assert [each["prompt"] for each in outputs] == [words(ids) for ids in prompts]


def normal(logits: Rows) -> Rows:
    top = logits.max(-1, keepdims=True)
    found: Rows = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    return found


def harmonic(one: Rows, other: Rows) -> Rows:
    return -np.logaddexp(np.log(0.25) - one, np.log(0.75) - other)


RECIPES: dict[str, tuple[dict[str, Any], Callable[[dict[str, Rows]], Rows]]] = {
    **{
        f"single {name}": (
            {"method": "single", "parameters": {"model": name}},
            itemgetter(name),
        )
        for name in NAMES
    },
    "proxy_tuning": (
        {"method": "proxy_tuning", "coefficients": {"expert": 0.8, "expert2": 0.4}},
        lambda p: p["target"] + 0.8 * p["expert"] + 0.4 * p["expert2"] - 1.2 * p["base"],
    ),
    "logit_fusion": (
        {"method": "logit_fusion", "coefficients": {"expert": 1.0, "expert2": 3.0}},
        lambda p: 0.25 * p["expert"] + 0.75 * p["expert2"],
    ),
    "forward_kl": (
        {
            "method": "logit_fusion",
            "coefficients": {"expert": 1.0, "expert2": 3.0},
            "parameters": {"kind": "forward_kl"},
        },
        lambda p: harmonic(p["expert"], p["expert2"]),
    ),
    "arm_guidance": (
        {
            "method": "arm_guidance",
            "coefficients": {"expert": 0.5, "expert2": 1.5},
            "parameters": {"on": "target"},
        },
        lambda p: p["target"] + 0.5 * p["expert"] + 1.5 * p["expert2"],
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_likelihoods_are_those_of_the_published_logits(
    command: Callable[..., Any], name: str
) -> None:
    recipe, formula = RECIPES[name]
    with np.load(GOLDEN / "teacher_forced_logits.npz") as data:
        text = data["text"]
        models = {
            each: normal(data[f"logits_{golden}"][:, :-1, :IDS].astype(np.float64))
            for each, golden in NAMES.items()
        }
    composed = normal(formula(models))
    wanted = -np.take_along_axis(composed, text[:, 1:, None], -1)[..., 0].mean(-1)
    # a model alone keeps its own rows: the expert's other 4 have a part in its normalisation
    if name == "single expert":
        with np.load(GOLDEN / "teacher_forced_logits.npz") as data:
            whole = normal(data["logits_expert"][:, :-1].astype(np.float64))
        wanted = -np.take_along_axis(whole, text[:, 1:, None], -1)[..., 0].mean(-1)
    [point] = command("evaluate", recipe)["points"]
    assert point["error"] is None and point["scores"]["nll"]["n"] == 2
    assert point["scores"]["nll"]["mean"] == pytest.approx(wanted.mean(), abs=3e-5)
