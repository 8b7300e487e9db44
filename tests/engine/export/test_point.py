"""Exports of points: what is written is what was scored, loads with plain libraries, says so."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers.generation.streamers import BaseStreamer

import engine
from engine.compose import Composer
from engine.decoding.fusion import Mixture
from engine.decoding.lazy import decided
from engine.decoding.loop import generate
from engine.errors import BadInput, ParetoscopeError
from engine.export.card import CardScore, Papers, hub_id, papers_kind
from engine.export.point import Exported, export_point
from engine.export.verify import TOLERANCE, probe, probe_ids
from engine.family.compatibility import open_family
from engine.recipe import Recipe, resolve
from tests import oracle

from .conftest import spec

assert engine.merging and engine.decoding

SCORE = CardScore(
    "facts",
    "exact_match",
    "maximize",
    "report",
    {"mean": 0.5, "stderr": None, "n": 1, "low": 0.1, "high": 0.9},
)
SIDE = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


def export(composer: Composer, recipe: Recipe, out: Path, *, adapter: bool = False) -> Exported:
    recipe = resolve(recipe, composer.family.names)
    papers = Papers(
        study="trio",
        family=composer.family,
        recipe=recipe,
        kind=papers_kind(recipe, adapter),
        numerics=str(composer.numerics),
        point="0123456789ab",
        fingerprints={"base": "00"},
        scores=[SCORE],
    )
    return export_point(composer, papers, out, adapter=adapter)


@torch.inference_mode()
def difference(composer: Composer, recipe: Recipe, again: torch.nn.Module) -> float:
    """Largest |logit difference| between a recipe as it is scored and a plain model."""
    recipe = resolve(recipe, composer.family.names)
    ids = probe_ids(composer)
    live = probe(composer.compose(recipe), ids)
    return float((again(input_ids=ids).logits.float() - live).abs().max())


def card(out: Path) -> tuple[dict[str, Any], str]:
    """Front matter and text of README.md."""
    text = (out / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\n")
    _, front, body = text.split("---\n", 2)
    return yaml.safe_load(front), body


def manifest(out: Path) -> dict[str, Any]:
    return json.loads((out / "paretoscope.json").read_text(encoding="utf-8"))


def names(out: Path) -> list[str]:
    return sorted(str(each.relative_to(out)) for each in out.rglob("*") if each.is_file())


def says_no_path(out: Path, root: Path) -> None:
    """Nothing in the papers tells where the models lay on this machine."""
    for name in names(out):
        if not name.endswith(".safetensors"):
            assert str(root) not in (out / name).read_text(encoding="utf-8"), name


class TestMerged:
    @pytest.mark.parametrize("method", ["pcb", "tsv"])  # W without its zeros; products of factors
    def test_the_weights_are_those_that_were_scored(
        self, composer: Composer, root: Path, tmp_path: Path, method: str
    ) -> None:
        recipe = Recipe(method, {"helpful": 1.1, "terse": 0.7}, {"strength": 0.9})
        done = export(composer, recipe, tmp_path / "out")
        assert done.max_logit_difference == 0.0
        assert list(done.files) == names(tmp_path / "out")
        more = ("model.safetensors", "README.md", "paretoscope.json")
        assert list(done.files) == sorted([*SIDE, *more])
        assert difference(composer, recipe, oracle.load(tmp_path / "out")) == 0.0
        for name in SIDE:
            assert (tmp_path / "out" / name).read_bytes() == (root / "base" / name).read_bytes()
        says_no_path(tmp_path / "out", root)

    def test_its_papers(self, composer: Composer, tmp_path: Path) -> None:
        recipe = Recipe("linear", {"base": 1, "helpful": 3})
        export(composer, recipe, tmp_path / "mixture")
        front, body = card(tmp_path / "mixture")
        assert front["library_name"] == "transformers"
        assert "base_model" not in front  # none of the models is from the hub
        (result,) = front["model-index"][0]["results"]
        assert front["model-index"][0]["name"] == "mixture"
        assert result["metrics"] == [{"type": "exact_match", "value": 0.5, "name": "exact_match"}]
        assert "| facts ↑ | report | 0.5 | – | 0.1 … 0.9 | 1 |" in body and "vllm serve" in body
        written = yaml.safe_load(body.split("```yaml\n")[1].split("```")[0])
        assert written == resolve(recipe, composer.family.names).as_dict()
        found = manifest(tmp_path / "mixture")
        assert found["kind"] == "merged" and found["point"] == "0123456789ab"
        assert found["recipe"] == written and found["numerics"] == str(composer.numerics)
        assert found["max_logit_difference"] is None
        assert found["scores"][0] == {
            "objective": "facts", "scorer": "exact_match", "direction": "maximize",
            "split": "report", "mean": 0.5, "stderr": None, "n": 1, "low": 0.1, "high": 0.9,
        }  # fmt: skip

    def test_a_mergekit_file_where_it_says_the_same(self, root: Path, tmp_path: Path) -> None:
        recipe = Recipe("task_arithmetic", {"helpful": 0.5}, {"strength": 0.5})
        full = Composer(open_family(spec(root, "helpful")), device="cpu")
        export(full, recipe, tmp_path / "full")
        text = (tmp_path / "full/mergekit_config.yml").read_text()
        document = yaml.safe_load(text)
        assert document["models"] == [{"model": "./helpful", "parameters": {"weight": 0.25}}]
        assert document["base_model"] == "./base" and document["out_dtype"] == "bfloat16"
        says_no_path(tmp_path / "full", root)
        other = Composer(open_family(spec(root, "helpful", "padded")), device="cpu")
        export(other, recipe, tmp_path / "other")  # rows differ: mergekit would cut
        assert not (tmp_path / "other/mergekit_config.yml").exists()
        assert "No mergekit file" in card(tmp_path / "other")[1]

    def test_adapters_merged_state_what_rounding_changes(
        self, composer: Composer, tmp_path: Path
    ) -> None:
        recipe = Recipe("task_arithmetic", {"terse": 0.8, "formal": 0.6})
        done = export(composer, recipe, tmp_path / "out")
        stated = done.max_logit_difference
        assert stated is not None and 1e-6 < stated < 0.5
        assert manifest(tmp_path / "out")["max_logit_difference"] == stated
        assert f"up to {stated:.3g}" in card(tmp_path / "out")[1]
        assert difference(composer, recipe, oracle.load(tmp_path / "out")) == stated


class TestSingle:
    def test_a_full_model_is_copied(self, composer: Composer, root: Path, tmp_path: Path) -> None:
        done = export(composer, Recipe("single", {}, {"model": "helpful"}), tmp_path / "out")
        assert done.max_logit_difference == 0.0
        for source in (root / "helpful").iterdir():
            assert (tmp_path / "out" / source.name).read_bytes() == source.read_bytes()
        assert manifest(tmp_path / "out")["kind"] == "copy"

    def test_an_adapter_is_copied(self, composer: Composer, root: Path, tmp_path: Path) -> None:
        done = export(composer, Recipe("single", {}, {"model": "terse"}), tmp_path / "out")
        assert done.max_logit_difference < TOLERANCE
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            assert (tmp_path / "out" / name).read_bytes() == (root / "terse" / name).read_bytes()


class TestAdapter:
    RECIPE = Recipe("task_arithmetic", {"terse": 0.8, "formal": -0.6}, {"strength": 0.5})

    def test_it_is_exact_and_peft_loads_it(
        self, composer: Composer, root: Path, tmp_path: Path
    ) -> None:
        done = export(composer, self.RECIPE, tmp_path / "out", adapter=True)
        assert done.max_logit_difference is not None
        assert done.max_logit_difference <= TOLERANCE
        assert names(tmp_path / "out") == [
            "README.md", "adapter_config.json", "adapter_model.safetensors", "paretoscope.json",
        ]  # fmt: skip
        config = json.loads((tmp_path / "out/adapter_config.json").read_text())
        assert config["r"] == 6 and config["base_model_name_or_path"] is None
        says_no_path(tmp_path / "out", root)

        from peft import PeftModel

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            again = PeftModel.from_pretrained(oracle.load(root / "base"), str(tmp_path / "out"))
        assert difference(composer, self.RECIPE, again.eval()) < TOLERANCE

    def test_its_card(self, composer: Composer, tmp_path: Path) -> None:
        export(composer, self.RECIPE, tmp_path / "out", adapter=True)
        front, body = card(tmp_path / "out")
        assert front["library_name"] == "peft" and "peft" in body
        assert manifest(tmp_path / "out")["kind"] == "adapter"

    def test_the_live_model_is_as_before(self, composer: Composer, tmp_path: Path) -> None:
        recipe = resolve(self.RECIPE, composer.family.names)
        ids = probe_ids(composer)
        before = probe(composer.compose(recipe), ids)
        export(composer, self.RECIPE, tmp_path / "out", adapter=True)
        assert torch.equal(probe(composer.compose(recipe), ids), before)

    @pytest.mark.parametrize(
        "recipe",
        [
            Recipe("task_arithmetic", {"terse": 1, "helpful": 0.1}),
            Recipe("linear", {"base": 1, "terse": 1}),
            Recipe("proxy_tuning", {"terse": 1}),
            Recipe("task_arithmetic", {}),
        ],
        ids=str,
    )
    def test_what_has_no_adapter(self, composer: Composer, recipe: Recipe, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=r"--adapter: .*Export a merged"):
            export(composer, recipe, tmp_path / "out", adapter=True)
        assert list(tmp_path.iterdir()) == []


class Streamed(BaseStreamer):
    """Keeps what a streamer of transformers is given behind the prompt."""

    def __init__(self) -> None:
        self.given: list[list[int]] = []
        self.ended = False

    @property
    def tokens(self) -> list[int]:
        return [token for each in self.given[1:] for token in each]

    def put(self, value: torch.Tensor) -> None:
        self.given.append(value.flatten().tolist())

    def end(self) -> None:
        self.ended = True


class TestDecoding:
    PROMPTS = (
        "the quick brown", "a kind answer turns away anger", "never", "what is one plus two",
        "the", "an honest answer is short", "quick brown foxes", "a kind answer",
    )  # fmt: skip

    @pytest.mark.parametrize(
        "recipe",
        [
            Recipe("proxy_tuning", {"helpful": 0.8, "terse": 0.5}),
            Recipe("logit_fusion", {"base": 0.3, "helpful": 0.7}, {"kind": "forward_kl"}),
            Recipe("logit_fusion", {"base": 0.3, "helpful": 0.7}, {"kind": "alpha"}),
            Recipe("arm_guidance", {"helpful": 0.8, "terse": 0.5}),
            Recipe("dexperts", {"helpful": 0.8}, {"anti": "terse"}),
            Recipe("contrastive", {"contrast": 0.5}, {"strong": "helpful"}),
            Recipe("gated", {"helpful": 0.8, "threshold": 3.0}),
            Recipe("dynamic_fusion", {"helpful": 1.0, "terse": 1.0}),
            Recipe("dynamic_fusion", {"helpful": 0.8, "terse": 0.3}, {"mode": "directed"}),
        ],
        ids=str,
    )
    def test_plain_transformers_says_the_same_tokens(
        self, composer: Composer, root: Path, tmp_path: Path, recipe: Recipe
    ) -> None:
        out = tmp_path / "out"
        done = export(composer, recipe, out)
        assert done.max_logit_difference is not None
        assert done.max_logit_difference < TOLERANCE
        assert "custom_generate/generate.py" in done.files and "recipe.yaml" in done.files
        says_no_path(out, root)

        live = composer.compose(resolve(recipe, composer.family.names))
        prompts = [composer.text.encode(each) for each in self.PROMPTS]
        wanted = generate(live, prompts, max_new_tokens=10, end_ids=composer.text.end_ids)
        leading = "target" if "target" in live.mixture.models else "base"
        loaded = {name: self.load(root, name) for name in live.mixture.models}
        tokenizer = oracle.load_tokenizer(root / "base")
        model = loaded.pop(leading)

        def said(padding: str, texts: list[str], **more: Any) -> list[list[int]]:
            tokenizer.padding_side = padding
            inputs = tokenizer(texts, padding=True, return_tensors="pt")
            found = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                custom_generate=str(out),
                trust_remote_code=True,
                models=loaded,
                max_new_tokens=10,
                repetition_penalty=1.0,  # the models' generation_config has another
                **more,
            )
            rows = found[:, inputs["input_ids"].shape[1] :].tolist()
            ends = composer.text.end_ids
            return [list(takewhile(lambda token: token not in ends, row)) for row in rows]

        tokens = [list(each.token_ids) for each in wanted]
        assert said("left", list(self.PROMPTS)) == tokens
        assert said("right", list(self.PROMPTS)) == tokens
        streamed = Streamed()
        assert said("left", [self.PROMPTS[1]], streamer=streamed) == [tokens[1]]
        assert streamed.tokens[: len(tokens[1])] == tokens[1] and streamed.ended

    def load(self, root: Path, name: str) -> torch.nn.Module:
        if name != "terse":
            return oracle.load(root / name)
        return oracle.unmerged(root / "base", {"terse": root / "terse"}, {"terse": 1.0})

    def test_its_folder(self, composer: Composer, root: Path, tmp_path: Path) -> None:
        recipe = Recipe("proxy_tuning", {"helpful": 0.8})
        export(composer, recipe, tmp_path / "out")
        for name in SIDE:
            assert (tmp_path / "out" / name).read_bytes() == (root / "base" / name).read_bytes()
        again = yaml.safe_load((tmp_path / "out/recipe.yaml").read_text())
        assert again == resolve(recipe, composer.family.names).as_dict()
        assert "No single checkpoint" in card(tmp_path / "out")[1]
        assert manifest(tmp_path / "out")["kind"] == "decoding"

    def test_one_whose_models_rest_says_that_there_they_do_not(
        self, composer: Composer, tmp_path: Path
    ) -> None:
        export(composer, Recipe("gated", {"helpful": 0.8, "threshold": 3.0}), tmp_path / "out")
        assert "every model runs at every token" in card(tmp_path / "out")[1]

    def test_where_rounding_tells_who_is_asked_nothing_is_compared(self) -> None:
        mixture = Mixture(("a", "b"), (0.0, 1.0), "gated", (("threshold", math.log(2)),))
        even = torch.tensor([[0.0, 0.0, -99.0], [0.0, 0.0, 0.0], [9.0, 0.0, 0.0]])
        assert decided(even, mixture, 1e-3).tolist() == [False, True, True]

    def test_a_model_that_is_not_given_is_named(
        self, composer: Composer, root: Path, tmp_path: Path
    ) -> None:
        import runpy

        export(composer, Recipe("proxy_tuning", {"helpful": 0.8}), tmp_path / "out")
        written = runpy.run_path(str(tmp_path / "out/custom_generate/generate.py"))
        with pytest.raises(ValueError, match="helpful"):
            written["generate"](None, {"base": None}, input_ids=torch.zeros(1, 1).long())


def test_an_output_that_is_there_is_told_before_anything(
    composer: Composer, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("mine")
    for recipe in (
        Recipe("pcb", {"helpful": 1}),
        Recipe("single", {}, {"model": "base"}),
        Recipe("proxy_tuning", {"helpful": 1}),
    ):
        with pytest.raises(BadInput, match="not empty"):
            export(composer, recipe, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("adapter", [False, True])
def test_a_full_disk_leaves_nothing(
    composer: Composer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adapter: bool
) -> None:
    from engine.export import point as written

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(written, "write_papers", full)
    with pytest.raises(ParetoscopeError, match="disk is full"):
        export(composer, TestAdapter.RECIPE, tmp_path / "out", adapter=adapter)
    assert list(tmp_path.iterdir()) == []


def test_models_of_the_hub_are_named_by_their_ids(root: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub/models--acme--tiny/snapshots/abc"
    shutil.copytree(root / "base", snapshot)
    assert hub_id(snapshot) == "acme/tiny" and hub_id(root / "base") is None
    where = spec(root, "terse")
    family = open_family(type(where)(snapshot, where.experts))
    cached = Composer(family, device="cpu")
    recipe = Recipe("task_arithmetic", {"terse": 0.5})
    export(cached, recipe, tmp_path / "merged")
    front, _ = card(tmp_path / "merged")
    assert (front["base_model"], front["base_model_relation"]) == (["acme/tiny"], "merge")
    export(cached, recipe, tmp_path / "adapter", adapter=True)
    front, _ = card(tmp_path / "adapter")
    assert (front["base_model"], front["base_model_relation"]) == (["acme/tiny"], "adapter")
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "acme/tiny"
