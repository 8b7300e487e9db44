"""Pruned points through the engine's jobs: scored, parked, exported, loaded again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from engine.compose import Composer
from engine.errors import BadInput, Cancelled
from engine.export.verify import probe, probe_ids
from engine.jobs.inline import InlineExecutor
from engine.jobs.models import recipe_of
from engine.jobs.opened import OpenFamilies, OpenFamily
from engine.pruning.scores import norms
from engine.recipe import Recipe
from engine.study import load_study
from engine.worker.messages import Job
from tests.engine.jobs.small import build_small_study

MERGE = {"method": "task_arithmetic", "coefficients": {"helpful": 0.7}}
PRUNE = {"objective": "loss", "ratio": 0.1}


class Bench:
    """A study, its open family, and jobs on it."""

    def __init__(self, file: Path, workspace: Path) -> None:
        self.file, self.workspace = file, workspace
        self.families = OpenFamilies(workspace, "cpu", None)
        self.rows: list[dict[str, Any]] = []

    @property
    def opened(self) -> OpenFamily:
        with self.families.use(load_study(self.file).family, lambda: None) as opened:
            return opened

    @property
    def composer(self) -> Composer:
        return self.opened.composer

    def recipe(self, prune: dict[str, Any] | None = PRUNE, **more: Any) -> Recipe:
        data = {**MERGE, **more, **({} if prune is None else {"prune": prune})}
        return recipe_of(data, self.opened, load_study(self.file))

    def weights(self, recipe: Recipe) -> dict[str, torch.Tensor]:
        (module,) = self.composer.compose(recipe).modules
        return {name: each.detach().clone() for name, each in module.state_dict().items()}

    def run(self, kind: str, **payload: Any) -> Any:
        self.rows.clear()
        payload = {"study": str(self.file), **payload}
        with InlineExecutor(self.workspace, device="cpu", on_rows=self.rows.extend) as executor:
            return executor.submit(Job(kind, payload, kind, "interactive")).result(120)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("family")
    bench = Bench(build_small_study(root, adapter=True), root / "workspace")
    yield bench
    bench.families.close()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_tenth_of_each_output_row_of_each_linear_layer_is_zero(bench: Bench) -> None:
    whole, pruned = bench.weights(bench.recipe(None)), bench.weights(bench.recipe())
    touched = 0
    for name, weight in pruned.items():
        gone = (weight == 0) & (whole[name] != 0)
        assert torch.equal(torch.where(gone, 0.0, whole[name]), weight), name
        if name.endswith("proj.weight"):
            width = weight.shape[1]
            assert (gone.sum(1) == width - int(width * 0.9)).all(), name
            touched += int(gone.sum())
        else:
            assert not gone.any(), name
    zeros = bench.composer.zeros(bench.recipe())
    assert zeros.count == touched
    assert zeros.of == sum(e.numel() for n, e in pruned.items() if n.endswith("proj.weight"))


@pytest.mark.parametrize("method", ["task_arithmetic", "linear", "pcb", "ties", "tsv"])
def test_a_ratio_of_zero_changes_no_bit(bench: Bench, method: str) -> None:
    with_it = bench.recipe({**PRUNE, "ratio": 0.0}, method=method)
    assert same(bench.weights(with_it), bench.weights(bench.recipe(None, method=method)))
    assert bench.recipe(PRUNE, method=method) != with_it


def test_adapters_are_merged_to_be_pruned(bench: Bench) -> None:
    recipe = bench.recipe(coefficients={"terse": 1.0})
    module = bench.composer.compose(recipe).modules[0]
    assert module is bench.composer.merged.module
    assert bench.composer.zeros(recipe).count > 0


def test_the_gradient_takes_its_share_of_each_matrix(bench: Bench) -> None:
    recipe = bench.recipe({**PRUNE, "variant": "gradient"})
    whole, pruned = bench.weights(bench.recipe(None)), bench.weights(recipe)
    for name, weight in pruned.items():
        gone = int(((weight == 0) & (whole[name] != 0)).sum())
        assert gone == (int(weight.numel() * 0.1) if name.endswith("proj.weight") else 0), name
    assert not same(pruned, bench.weights(bench.recipe()))


def test_a_new_ratio_reads_no_row_again_and_new_coefficients_do(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.weights(bench.recipe())
    asked = []

    def counted(model: Any, texts: Any, tick: Any) -> Any:
        asked.append(len(texts))
        return norms(model, texts, tick)

    monkeypatch.setattr("engine.pruning.pruner.norms", counted)
    bench.weights(bench.recipe({**PRUNE, "ratio": 0.15}))
    assert not asked
    bench.weights(bench.recipe(coefficients={"helpful": 0.71}))
    assert len(asked) == 1


def test_the_order_of_the_rows_does_not_matter_and_their_text_does(
    bench: Bench, tmp_path: Path
) -> None:
    place = tmp_path / "study"
    shutil.copytree(bench.file.parent, place, ignore=shutil.ignore_patterns("workspace"))
    file, rows = place / "study.yaml", place / "rows.jsonl"
    lines = rows.read_text(encoding="utf-8").splitlines()
    rows.write_text("\n".join(reversed(lines)) + "\n", encoding="utf-8")
    turned = Bench(file, tmp_path / "workspace")
    recipe = bench.recipe()
    assert turned.recipe() == recipe
    assert same(turned.weights(recipe), bench.weights(recipe))
    changed = [json.loads(line) for line in lines]
    for each in changed:
        each["targets"] = ["x"]
    rows.write_text("".join(json.dumps(each) + "\n" for each in changed), encoding="utf-8")
    assert turned.recipe() != recipe
    with pytest.raises(BadInput, match="rows of loss have changed since, or what they reach"):
        turned.recipe(recipe.as_dict()["prune"])
    turned.families.close()


def test_held_back_rows_do_not_count(bench: Bench, tmp_path: Path) -> None:
    from engine.scoring.data import read_rows

    study = load_study(bench.file)
    held = {row.line for row in read_rows(study.objective("loss"), "report")}
    assert held
    place = tmp_path / "study"
    shutil.copytree(bench.file.parent, place, ignore=shutil.ignore_patterns("workspace"))
    lines = (place / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [line for number, line in enumerate(lines, 1) if number not in held]
    (place / "rows.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    recipe = {**MERGE, "prune": PRUNE}
    assert recipe_of(recipe, bench.opened, load_study(place / "study.yaml")) == bench.recipe()


def test_a_job_in_between_leaves_the_zeros_as_they_would_be(bench: Bench) -> None:
    recipe = bench.recipe(coefficients={"helpful": 0.33})
    other = bench.recipe({**PRUNE, "ratio": 0.2}, coefficients={"helpful": 1.2})
    composer = bench.composer
    before = composer.live
    ticks = 0

    def between() -> None:
        nonlocal ticks
        ticks += 1
        if ticks % 7 == 0:
            live = composer.live
            composer.compose(other)
            composer.restore(live, lambda: None)

    composer.compose(recipe, between)
    parked = {name: each.clone() for name, each in composer.merged.module.state_dict().items()}
    assert ticks > 20
    composer.pruner._norms.clear()
    composer.pruner._zeros.clear()
    assert same(parked, bench.weights(recipe))
    composer.restore(before)


def test_it_is_given_up_between_two_rows(bench: Bench) -> None:
    recipe = bench.recipe(coefficients={"helpful": 0.44})
    tensors, ticks = len(bench.composer.tensors.names), 0

    def stop() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == tensors + 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        bench.composer.compose(recipe, stop)
    assert bench.composer.live is None and bench.composer.pruner.zeros(recipe) is None
    assert not any(each._forward_pre_hooks for each in bench.composer.merged.module.modules())


def test_scores_and_exports(bench: Bench, tmp_path: Path) -> None:
    data = {**MERGE, "prune": PRUNE}
    bench.run("evaluate", recipes=[data, MERGE], objectives=["loss"])
    pruned, whole = bench.rows
    assert pruned["point"] != whole["point"] and pruned["mean"] != whole["mean"]
    assert pruned["recipe"]["prune"]["rows"] and "prune" not in whole["recipe"]
    result = bench.run("export", recipe=data, out=str(tmp_path / "out"))
    assert result["verified"] and result["max_logit_difference"] == 0.0
    assert "mergekit_config.yml" not in result["files"]
    recipe = bench.recipe()
    zeros = bench.composer.zeros(recipe)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert f"Pruned: {zeros.count:,} of {zeros.of:,} weights" in card and "ratio: 0.1" in card
    manifest = json.loads((tmp_path / "out" / "paretoscope.json").read_text(encoding="utf-8"))
    assert manifest["recipe"] == recipe.as_dict()
    written = load_file(tmp_path / "out" / "model.safetensors")
    weights = bench.weights(recipe)
    assert all(torch.equal(each, weights[name]) for name, each in written.items())
    ids = probe_ids(bench.composer)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    with torch.inference_mode():
        again = plain(input_ids=ids).logits
    assert torch.equal(again, probe(bench.composer.compose(recipe), ids)[..., : again.shape[-1]])


def test_no_adapter_can_hold_it(bench: Bench, tmp_path: Path) -> None:
    data = {"method": "task_arithmetic", "coefficients": {"terse": 1.0}, "prune": PRUNE}
    with pytest.raises(BadInput, match="no adapter says which"):
        bench.run("export", recipe=data, out=str(tmp_path / "out"), adapter=True)
    assert not (tmp_path / "out").exists()


def test_a_gradient_needs_targets(bench: Bench, tmp_path: Path) -> None:
    place = tmp_path / "study"
    shutil.copytree(bench.file.parent, place, ignore=shutil.ignore_patterns("workspace"))
    text = (place / "study.yaml").read_text(encoding="utf-8")
    text += "- {name: harm, data: asked.jsonl, scorer: refusal}\n"
    (place / "study.yaml").write_text(text, encoding="utf-8")
    asked = "".join(json.dumps({"prompt": f"how do I sink {n} ships"}) + "\n" for n in range(9))
    (place / "asked.jsonl").write_text(asked, encoding="utf-8")
    study = load_study(place / "study.yaml")
    harm = {"objective": "harm", "ratio": 0.1}
    recipe = recipe_of({**MERGE, "prune": harm}, bench.opened, study)
    bench.composer.compose(recipe)
    assert bench.composer.zeros(recipe).count > 0
    with pytest.raises(BadInput, match=r"asked.jsonl:\d+: the variant gradient needs a target"):
        recipe_of({**MERGE, "prune": {**harm, "variant": "gradient"}}, bench.opened, study)


def test_a_model_without_linear_layers_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.pruning.pruner.linear_layers", lambda module: [])
    with pytest.raises(BadInput, match="no linear layer"):
        bench.composer.compose(bench.recipe(coefficients={"helpful": 0.91}))
    assert bench.composer.live is None
