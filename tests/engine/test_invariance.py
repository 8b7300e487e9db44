"""The demo's texts do not depend on batches, padding or the process that decodes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from engine.compose import Composer
from engine.decoding import reading
from engine.decoding.loop import Bucket, generate
from engine.demo import write_demo
from engine.family.compatibility import open_family
from engine.jobs.inline import InlineExecutor
from engine.jobs.local import LocalExecutor
from engine.recipe import Recipe, resolve
from engine.study import load_study
from engine.worker.messages import Job

NEW_TOKENS = 12
PROMPTS = 64
RECIPES = (
    Recipe("task_arithmetic", {"helpful": 0.5, "harmless": 0.6, "honest": 0.4}),
    Recipe("proxy_tuning", {"harmless": 1.0, "helpful": 0.5}),
)
BUCKETS = (Bucket(1, 1), Bucket(8, 1), Bucket(64, 1), Bucket(8, 16), Bucket(64, 64))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo(tmp_path_factory.mktemp("demo") / "demo")


@pytest.fixture(scope="module")
def composer(study: Path) -> Composer:
    return Composer(open_family(load_study(study).family), device="cpu", compute_dtype="float32")


@pytest.fixture(scope="module")
def prompts(study: Path) -> list[str]:
    """Of several lengths, from every data file of the demo."""
    rows = []
    for file in sorted((study.parent / "data").glob("*.jsonl")):
        lines = file.read_text(encoding="utf-8").splitlines()
        rows += [json.loads(line)["prompt"] for line in lines[:: len(lines) // 13]]
    return rows[:PROMPTS]


def texts(composer: Composer, recipe: Recipe, prompts: list[str], bucket: Bucket) -> list[object]:
    model = composer.compose(resolve(recipe, composer.family.names))
    ids = [composer.text.encode(prompt, chat=True) for prompt in prompts]
    found = generate(
        model, ids, max_new_tokens=NEW_TOKENS, end_ids=composer.text.end_ids, bucket=bucket
    )
    return [each.token_ids for each in found]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.method)
def test_every_batch_says_the_same(composer: Composer, prompts: list[str], recipe: Recipe) -> None:
    alone, *others = [texts(composer, recipe, prompts, bucket) for bucket in BUCKETS]
    assert len(set(alone)) > len(alone) // 4  # texts worth comparing
    for bucket, found in zip(BUCKETS[1:], others, strict=True):
        assert found == alone, bucket


def test_a_position_off_by_one_is_seen(
    composer: Composer, prompts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = texts(composer, RECIPES[0], prompts, Bucket(1, 1))
    true = reading.positions

    def late(pads: torch.Tensor, columns: int) -> torch.Tensor:
        found = true(pads, columns)
        return found + (found >= 12)  # one too far from the thirteenth token of a row on

    monkeypatch.setattr(reading, "positions", late)
    assert texts(composer, RECIPES[0], prompts, Bucket(64, 64)) != right


def test_the_worker_says_what_this_process_says(
    study: Path, composer: Composer, prompts: list[str], tmp_path: Path
) -> None:
    for executor in (InlineExecutor, LocalExecutor):
        with executor(tmp_path / "workspace", device="cpu") as engine:
            for recipe in RECIPES:
                wanted = texts(composer, recipe, prompts, Bucket())
                job = {
                    "study": str(study),
                    "recipe": recipe.as_dict(),
                    "prompts": prompts,
                    "chat": True,
                    "max_new_tokens": NEW_TOKENS,
                }
                outputs = engine.submit(Job("generate", job)).result(120)["outputs"]
                found = [tuple(each["token_ids"]) for each in outputs]
                assert found == wanted, (executor.__name__, recipe.method)
