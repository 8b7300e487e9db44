"""From the shell: numbers that overflow give a reason and no score, once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from tests import headless
from tests.engine.jobs.small import build_small_study
from tests.families import write_lines


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_small_study(tmp_path_factory.mktemp("family"), adapter=True)


def test_an_adapter_of_another_scale(study: Path, tmp_path: Path) -> None:
    """`lora_alpha` makes factors of weights that are sound by themselves."""
    root = tmp_path / "family"
    shutil.copytree(study.parent, root)
    file = root / "terse/adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"lora_alpha": 1e20}))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("method: task_arithmetic\ncoefficients: {terse: 0.5}")
    ran = headless.run(tmp_path / "home", "evaluate", root / "study.yaml", "--recipe", recipe)
    [point] = ran.document["points"]
    assert ran.code == 1 and "overflow in model.layers." in point["error"]
    assert point["scores"]["loss"]["mean"] is None


@pytest.mark.parametrize(
    "recipe",
    [
        "method: task_arithmetic\ncoefficients: {terse: 1.0e+25}",  # adapters, unmerged
        "method: task_arithmetic\ncoefficients: {helpful: 1.0e+6}",  # merged weights
    ],
)
def test_a_reason_and_no_score(study: Path, tmp_path: Path, recipe: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe)
    sound = tmp_path / "sound.yaml"
    sound.write_text("method: task_arithmetic\ncoefficients: {helpful: 0.5}")
    ask = ("evaluate", study, "--recipe", file, "--recipe", sound)
    ran = headless.run(tmp_path / "home", *ask)
    assert ran.code == 1
    bad, good = ran.document["points"]
    assert good["error"] is None and good["scores"]["has"]["mean"] is not None
    assert "overflow in model.layers." in bad["error"]
    assert bad["scores"]["cost"]["mean"] is not None
    for name in ("has", "loss"):
        assert {bad["scores"][name][key] for key in ("mean", "stderr", "low", "high")} == {None}
    again = headless.run(tmp_path / "home", *ask)
    assert again.code == 1 and again.document == ran.document  # not measured again: same seconds
    cost = headless.run(tmp_path / "home", *ask[:4], "--objectives", "cost")
    assert cost.code == 0 and cost.document["points"][0]["error"] is None
    front = headless.run(tmp_path / "home", "front", study)
    assert front.document["front"] == [good["id"]] and front.document["failed"] == 1


LATE = "Q"
"""A token that only the last of many rows has."""

RECIPES = {
    "single": "method: single\nparameters: {model: loud}",
    "task_arithmetic": "method: task_arithmetic\ncoefficients: {loud: 1.0}",
    "linear": "method: linear\ncoefficients: {base: 1.0, loud: 1.0}",
    "pcb": "method: pcb\ncoefficients: {loud: 1.0}\nparameters: {ratio: 1.0}",
    "proxy_tuning": "method: proxy_tuning\ncoefficients: {loud: 0.5}",
    "logit_fusion": "method: logit_fusion\ncoefficients: {base: 0.7, loud: 0.3}",
    "forward_kl": "method: logit_fusion\ncoefficients: {base: 1.0, loud: 1.0}\n"
    "parameters: {kind: forward_kl}",
    "linear, sum near 0": "method: linear\ncoefficients: {base: 1.0, loud: -0.998}",
    "coefficient": "method: task_arithmetic\ncoefficients: {loud: 1.0e+6}",
}
WEIGHTS_BEYOND = ("linear, sum near 0", "coefficient")
SCORERS = ("contains", "nll", "perplexity", "choice", "kl_to_base", "refusal")


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose expert embeds one token with numbers that no norm can square."""
    root = tmp_path_factory.mktemp("late")
    study = build_small_study(root)
    shutil.copytree(root / "helpful", root / "loud")
    token = Tokenizer.from_file(str(root / "base" / "tokenizer.json")).encode(LATE).ids[-1]
    for name in ("base", "helpful", "loud"):  # what reads a token is apart from what says it
        config = json.loads((root / name / "config.json").read_text())
        (root / name / "config.json").write_text(
            json.dumps(config | {"tie_word_embeddings": False})
        )
        weights = load_file(root / name / "model.safetensors")
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
        weights["model.embed_tokens.weight"][token] *= 1e22 if name == "loud" else 1.0
        save_file(weights, root / name / "model.safetensors", metadata={"format": "pt"})
    rows = [json.loads(line) for line in (root / "rows.jsonl").read_text().splitlines()]
    rows = [{**row, "choices": row["targets"], "answer": 0} for row in rows]
    write_lines(root / "early.jsonl", rows)
    more = [{**row, "prompt": f"{row['prompt']} {n}"} for n in range(7) for row in rows]
    last = {**rows[0], "prompt": f"{LATE} {rows[0]['prompt']}"}
    write_lines(root / "late.jsonl", [*more, last])
    document = yaml.safe_load(study.read_text())
    document["family"]["experts"]["loud"] = "loud"
    document["objectives"] = [
        {"name": f"{scorer}_{data}", "data": f"{data}.jsonl", "scorer": scorer,
         "report_fraction": 0.0} | ({"max_new_tokens": 3} if scorer not in MEASURED else {})
        for data in ("early", "late") for scorer in SCORERS
    ]  # fmt: skip
    study.write_text(yaml.safe_dump(document, sort_keys=False))
    return study


MEASURED = ("nll", "perplexity", "choice")


def test_one_late_row_that_overflows_is_enough(late: Path, tmp_path: Path) -> None:
    asked: list[object] = []
    for name, text in RECIPES.items():
        (tmp_path / name).write_text(text)
        asked += ["--recipe", tmp_path / name]
    ran = headless.run(tmp_path / "home", "evaluate", late, *asked)
    assert ran.code == 1
    for name, point in zip(RECIPES, ran.document["points"], strict=True):
        means = {name: score["mean"] for name, score in point["scores"].items()}
        assert {means[f"{scorer}_late"] for scorer in SCORERS} == {None}, (name, means)
        assert "overflow" in point["error"], (name, point["error"])
        if name in WEIGHTS_BEYOND:
            continue  # every row of it may
        # rows without the token have numbers, where no model says it
        assert None not in {means[f"{scorer}_early"] for scorer in MEASURED}, (name, means)
