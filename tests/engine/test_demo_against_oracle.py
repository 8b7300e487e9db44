"""The shipped demo against the oracle: trained models, whose texts and scores mean something."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from engine.scoring.refusal_phrases import REFUSALS
from tests import headless, oracle

FLIPS = 2e-3  # what some weights, rounded the other way by an ulp, may move a logit by
NEW = 12
WEIGHTS = {"helpful": 0.8132, "harmless": 0.6271, "honest": 0.4409}
RECIPES: dict[str, dict[str, Any]] = {
    "sum": {"method": "task_arithmetic", "coefficients": WEIGHTS},
    "mean": {"method": "linear", "coefficients": {"base": 0.3, **WEIGHTS}},
    "pcb": {"method": "pcb", "coefficients": WEIGHTS},
    "honest": {"method": "single", "parameters": {"model": "honest"}},
    "steered": {"method": "proxy_tuning", "coefficients": {"helpful": 0.8, "honest": 0.7}},
    "fused": {"method": "logit_fusion", "coefficients": {"base": 0.3, **WEIGHTS}},
    "fused forward": {
        "method": "logit_fusion",
        "coefficients": WEIGHTS,
        "parameters": {"kind": "forward_kl"},
    },
}
SCORED = ("sum", "fused")


class Demo:
    """The demo written out, its study cut to a few rows an objective."""

    def __init__(self, root: Path) -> None:
        self.workspace, self.root = root / "workspace", root / "demo"
        assert headless.run(self.workspace, "demo", self.root).code == 0
        self.objectives: list[dict[str, Any]] = []
        for name in ("study", "study-lora"):
            document = yaml.safe_load((self.root / f"{name}.yaml").read_text(encoding="utf-8"))
            self.objectives = [{**each, "limit": 4} for each in document["objectives"]]
            document["objectives"] = self.objectives
            (self.root / f"{name}-few.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        models = self.root / "models"
        self.base, self.target = models / "base", models / "target"
        self.experts = {name: models / name for name in ("helpful", "harmless", "honest")}
        self.adapters = {**self.experts, "honest": self.root / "adapters" / "honest"}
        self.tokenizer = oracle.load_tokenizer(self.base)
        self.ends = oracle.end_tokens(self.base, self.tokenizer)
        self.prompts = [
            json.loads((self.root / "data" / f"{name}.jsonl").read_text().split("\n")[0])["prompt"]
            for name in ("facts", "refusals", "honesty")
        ]

    def study(self, lora: bool) -> Path:
        return self.root / ("study-lora-few.yaml" if lora else "study-few.yaml")

    def recipe(self, name: str) -> Path:
        place = self.root / f"{name}.yaml"
        place.write_text(yaml.safe_dump(RECIPES[name]), encoding="utf-8")
        return place

    def speaker(self, recipe: dict[str, Any], lora: bool) -> oracle.Speaker:
        experts = self.adapters if lora else self.experts
        size = len(self.tokenizer)
        return oracle.compose(recipe, self.base, experts, self.target, vocabulary=size)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Demo(tmp_path_factory.mktemp("demo"))
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("name", "lora"),
    [*((name, False) for name in RECIPES), ("sum", True), ("honest", True), ("steered", True)],
)
def test_texts(demo: Demo, name: str, lora: bool) -> None:
    ran = headless.run(
        demo.workspace, "generate", demo.study(lora), "--recipe", demo.recipe(name), "--chat",
        "--max-new-tokens", NEW, "--prompt", *demo.prompts,
    )  # fmt: skip
    assert ran.code == 0, ran
    speaker = demo.speaker(RECIPES[name], lora)
    near = FLIPS if RECIPES[name]["method"] in ("linear", "pcb") else oracle.TIE
    ended = set()
    for prompt, each in zip(demo.prompts, ran.document["outputs"], strict=True):
        ids = oracle.encode(demo.tokenizer, prompt, True)
        spoken = oracle.greedy(speaker, demo.tokenizer, ids, NEW, demo.ends)
        assert spoken.agrees(each["token_ids"], near), (prompt, spoken, each)
        assert each["text"] == oracle.decode(demo.tokenizer, each["token_ids"])
        ended.add(spoken.ended)
    assert "end" in ended


def test_scores(demo: Demo) -> None:
    """Two recipes in one command, every objective of the demo."""
    recipes = [demo.recipe(name) for name in SCORED]
    ran = headless.run(demo.workspace, "evaluate", demo.study(True), "--recipe", *recipes)
    assert ran.code == 0, ran
    base = oracle.load(demo.base)
    means = set()
    for name, point in zip(SCORED, ran.document["points"], strict=True):
        assert point["error"] is None
        speaker = demo.speaker(RECIPES[name], True)
        for objective in demo.objectives:
            given = objective
            if objective["scorer"] == "refusal":
                given = {"phrases": REFUSALS, **objective}
            wanted = oracle.score(given, demo.root, speaker, demo.tokenizer, demo.ends, base=base)
            if any(text.close for text in wanted.spoken):
                continue  # a text may part there, and its score with it
            found = point["scores"][objective["name"]]
            assert found["n"] == wanted.n == (1 if objective["scorer"] == "cost" else 4)
            assert found["mean"] == pytest.approx(wanted.mean, rel=1e-4, abs=1e-6)
            if wanted.stderr is None:
                assert found["stderr"] is None
            else:
                assert found["stderr"] == pytest.approx(wanted.stderr, rel=1e-3, abs=1e-6)
            means.add(round(found["mean"], 4))
    assert len(means) >= 6
