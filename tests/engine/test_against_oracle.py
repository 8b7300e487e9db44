"""The command line against the oracle: texts, scores, merged weights and exports are the same.

Every method of the first release on families with a tied embedding, added tokens, padded rows, LoRA
experts and a larger target. What may differ is named: a text may part where the top two logits lie
within 1e-4, and bfloat16 weights by one unit in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from tests import families, headless, oracle

PROMPTS = ("the quick", "what is the colour", "I am", "three red stones lie")
NEW = 12
FLIPS = 2e-3  # what some weights, rounded the other way by an ulp, may move a logit by


@dataclass(frozen=True)
class Mix:
    """A recipe on one of the studies below."""

    study: str
    method: str
    coefficients: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weights(self) -> dict[str, float]:
        """Coefficients with the strength in them."""
        strength = self.parameters.get("strength", 1.0)
        return {name: strength * value for name, value in self.coefficients.items()}


STUDIES: dict[str, dict[str, Any]] = {
    "trio": {"experts": ("helpful", "terse", "formal"), "target": True},
    "added": {"experts": ("helpful", "coder", "terse"), "tokenizer": "coder"},
    "padded": {"experts": ("helpful", "padded")},
}
FEW = [each for each in families.OBJECTIVES if each["name"] in ("loss", "pick")]
MIXES = {
    "sum": Mix("trio", "task_arithmetic", {"helpful": 0.7312, "terse": 0.4177}),
    "sum of adapters": Mix(
        "trio", "task_arithmetic", {"terse": 1.4, "formal": 2.6}, {"strength": 0.5}
    ),
    "mean": Mix("trio", "linear", {"base": 0.37, "helpful": 0.61, "terse": 0.23}),
    "pcb": Mix("trio", "pcb", {"helpful": 1.3, "terse": 0.8, "formal": 0.4}),
    "pcb nlp": Mix(
        "trio", "pcb", {"helpful": 1.1, "formal": 0.9}, {"variant": "nlp", "ratio": 0.2}
    ),
    "pcb vision": Mix("trio", "pcb", {"helpful": 0.9}, {"variant": "vision", "strength": 1.2}),
    "pcb es": Mix("trio", "pcb", {"helpful": 1.3, "terse": 0.8}, {"variant": "vision_es"}),
    "base": Mix("trio", "single", {}, {"model": "base"}),
    "target": Mix("trio", "single", {}, {"model": "target"}),
    "adapter": Mix("trio", "single", {}, {"model": "terse"}),
    "steered": Mix("trio", "proxy_tuning", {"helpful": 0.8, "terse": 0.5}),
    "fused": Mix("trio", "logit_fusion", {"base": 0.2, "helpful": 0.8, "terse": 0.5}),
    "fused forward": Mix(
        "trio", "logit_fusion", {"base": 0.2, "helpful": 0.8, "formal": 0.5}, {"kind": "forward_kl"}
    ),
    "guided": Mix("trio", "arm_guidance", {"helpful": 0.8, "terse": 0.5}),
    "guided target": Mix("trio", "arm_guidance", {"helpful": 0.6}, {"on": "target"}),
    "filtered": Mix("trio", "dexperts", {"helpful": 0.8, "terse": 0.5}, {"filter_p": 0.5}),
    "contrasted": Mix("trio", "contrastive", {"contrast": 0.6}, {"amateur": "terse"}),
    "dynamic": Mix("trio", "dynamic_fusion", {"helpful": 1.0, "terse": 0.5}),
    "directed": Mix("trio", "dynamic_fusion", {"helpful": 0.6, "terse": 0.3}, {"mode": "directed"}),
    "added filtered": Mix("added", "dexperts", {"helpful": 0.8, "coder": 0.5}),
    "padded dynamic": Mix("padded", "dynamic_fusion", {"helpful": 0.8, "padded": 0.5}),
    "added sum": Mix("added", "task_arithmetic", {"helpful": 0.4312, "coder": 0.6177}),
    "added pcb": Mix("added", "pcb", {"helpful": 1.3, "coder": 0.8, "terse": 0.4}),
    "added steered": Mix("added", "proxy_tuning", {"helpful": 0.8, "coder": 0.5}),
    "added fused": Mix("added", "logit_fusion", {"helpful": 0.8, "coder": 0.5}),
    "padded sum": Mix("padded", "task_arithmetic", {"helpful": 0.4312, "padded": 0.6177}),
    "padded mean": Mix("padded", "linear", {"base": 0.37, "padded": 0.61}),
    "padded fused": Mix(
        "padded", "logit_fusion", {"helpful": 0.8, "padded": 0.5}, {"kind": "forward_kl"}
    ),
}
MERGED = [
    name
    for name, mix in MIXES.items()
    if mix.method in ("linear", "pcb") or (mix.method == "task_arithmetic" and name[-3:] == "sum")
]
SCORED = ["base", "sum", "sum of adapters", "steered", "added fused"]


class Bench:
    """A family on disk, its studies, and each mixture as the oracle has it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.family = families.build_tied_family(root / "family")
        self.studies: dict[str, Path] = {}
        for name, given in STUDIES.items():
            rest = {key: value for key, value in given.items() if key != "experts"}
            self.studies[name] = self.family.study(*given["experts"], name=name, **rest)
            few = self.family.study(*given["experts"], name=f"{name}-few", objectives=FEW, **rest)
            self.studies[f"{name} few"] = few
        self.kept: dict[Any, Any] = {}

    def once(self, make: Any, *key: Any) -> Any:
        if (make.__name__, key) not in self.kept:
            self.kept[make.__name__, key] = make(*key)
        return self.kept[make.__name__, key]

    # what the oracle says

    def experts(self, study: str) -> dict[str, Path]:
        return {name: self.family.experts[name] for name in STUDIES[study]["experts"]}

    def words(self, study: str) -> tuple[Any, frozenset[int]]:
        """The study's tokenizer and end tokens."""
        owner = STUDIES[study].get("tokenizer")
        place = self.family.experts[owner] if owner else self.family.base
        tokenizer = self.once(oracle.load_tokenizer, place)
        return tokenizer, oracle.end_tokens(place, tokenizer)

    def weights(self, name: str) -> dict[str, Tensor]:
        mix = MIXES[name]
        return oracle.merged(
            self.family.base, self.experts(mix.study), mix.method, mix.coefficients, mix.parameters
        )

    def speaker(self, name: str) -> oracle.Speaker:
        mix = MIXES[name]
        return oracle.compose(
            {"method": mix.method, "coefficients": mix.coefficients, "parameters": mix.parameters},
            self.family.base,
            self.experts(mix.study),
            self.family.target if STUDIES[mix.study].get("target") else None,
            vocabulary=len(self.words(mix.study)[0]),
        )

    # what the engine says

    def recipe(self, name: str) -> Path:
        mix = MIXES[name]
        return self.family.recipe(mix.method, mix.parameters, **mix.coefficients)

    def json(self, *argv: object) -> dict[str, Any]:
        """The one JSON document of a command that ends well."""
        ran = headless.run(self.root / "workspace", *argv)
        assert ran.code == 0, ran
        return ran.document


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads cost more than they bring on models this small
    yield Bench(tmp_path_factory.mktemp("oracle"))
    torch.set_num_threads(threads)


def nearly(name: str) -> float:
    """How far apart the two best logits must be for a text to be bound."""
    return FLIPS if MIXES[name].method in ("linear", "pcb") else oracle.TIE


class TestTexts:
    @pytest.mark.parametrize("name", MIXES)
    def test_token_ids(self, bench: Bench, name: str) -> None:
        mix = MIXES[name]
        chat = list(MIXES).index(name) % 2 == 0
        found = bench.json(
            "generate", bench.studies[mix.study], "--recipe", bench.recipe(name),
            "--prompt", *PROMPTS, "--max-new-tokens", NEW, *(["--chat"] if chat else []),
        )  # fmt: skip
        assert found["recipe"]["method"] == mix.method
        assert [each["prompt"] for each in found["outputs"]] == list(PROMPTS)
        tokenizer, ends = bench.words(mix.study)
        speaker = bench.once(bench.speaker, name)
        parted = 0
        for prompt, each in zip(PROMPTS, found["outputs"], strict=True):
            ids = oracle.encode(tokenizer, prompt, chat)
            spoken = oracle.greedy(speaker, tokenizer, ids, NEW, ends)
            assert spoken.agrees(each["token_ids"], nearly(name)), (prompt, spoken, each)
            assert each["text"] == oracle.decode(tokenizer, each["token_ids"])
            parted += tuple(each["token_ids"]) != spoken.ids
        assert parted <= 1

    def test_stop(self, bench: Bench) -> None:
        """The text ends before the stop; the ids are a beginning of the text without one."""
        stops = ["e", "\n"]
        options = [word for each in stops for word in ("--stop", each)]
        found = bench.json(
            "generate", bench.studies["trio"], "--recipe", bench.recipe("sum"), "--prompt",
            *PROMPTS, "--max-new-tokens", NEW, *options,
        )  # fmt: skip
        tokenizer, ends = bench.words("trio")
        speaker = bench.once(bench.speaker, "sum")
        seen = set()
        for prompt, each in zip(PROMPTS, found["outputs"], strict=True):
            ids = oracle.encode(tokenizer, prompt)
            spoken = oracle.greedy(speaker, tokenizer, ids, NEW, ends, stops)
            assert each["text"] == oracle.cut(oracle.decode(tokenizer, spoken.ids), stops)
            assert tuple(each["token_ids"]) == spoken.ids
            seen.add(spoken.ended)
        assert "stop" in seen

    def test_one_expert_at_one_is_that_expert(self, bench: Bench) -> None:
        """One-hot recipes say what the single model says, token for token."""
        study = bench.studies["trio"]

        def said(method: str, parameters: Mapping[str, Any] | None = None, **c: float) -> list:
            recipe = bench.family.recipe(method, parameters, **c)
            return bench.json("generate", study, "--recipe", recipe, "--prompt", *PROMPTS,
                              "--max-new-tokens", NEW)["outputs"]  # fmt: skip

        for model, methods in (
            ("helpful", ("task_arithmetic", "linear", "logit_fusion")),
            ("target", ("proxy_tuning",)),
        ):
            wanted = said("single", {"model": model})
            for method in methods:
                found = said(method, **({} if model == "target" else {model: 1.0}))
                if MIXES["fused"].method == method or model == "target":  # masks padded ids
                    kept = [max(each["token_ids"]) < families.VOCABULARY for each in wanted]
                    assert sum(kept) >= 2
                    found = [each for each, keep in zip(found, kept, strict=True) if keep]
                    assert found == [each for each, keep in zip(wanted, kept, strict=True) if keep]
                else:
                    assert found == wanted


def same_score(found: Mapping[str, Any], wanted: oracle.Scored, part: float = 2e-5) -> None:
    assert found["n"] == wanted.n
    assert found["mean"] == pytest.approx(wanted.mean, rel=part, abs=1e-6)
    if wanted.stderr is None:
        assert found["stderr"] is None
    else:
        assert found["stderr"] == pytest.approx(wanted.stderr, rel=part * 5, abs=1e-6)


class TestScores:
    @pytest.fixture(scope="module")
    @staticmethod
    def points(bench: Bench) -> dict[str, dict[str, Any]]:
        """One command a study, several recipes each: mixture -> its point."""
        found = {}
        for study in STUDIES:
            names = [name for name in SCORED if MIXES[name].study == study]
            if names:
                recipes = [bench.recipe(name) for name in names]
                rows = bench.json("evaluate", bench.studies[study], "--recipe", *recipes)["points"]
                assert [row["recipe"]["method"] for row in rows] == [MIXES[n].method for n in names]
                found |= dict(zip(names, rows, strict=True))
        return found

    @pytest.mark.parametrize("name", SCORED)
    def test_every_objective(self, bench: Bench, points: dict[str, Any], name: str) -> None:
        point, mix = points[name], MIXES[name]
        assert point["error"] is None and len(point["id"]) == 12
        assert list(point["scores"]) == [each["name"] for each in families.OBJECTIVES]
        tokenizer, ends = bench.words(mix.study)
        speaker = bench.once(bench.speaker, name)
        base = bench.once(oracle.load, bench.family.base)
        for objective in families.OBJECTIVES:
            wanted = oracle.score(objective, bench.family.root, speaker, tokenizer, ends, base=base)
            found = point["scores"][objective["name"]]
            if any(text.close for text in wanted.spoken):
                continue  # a text may part there, and its score with it
            same_score(found, wanted)
            kind = objective["scorer"]
            if kind in ("exact_match", "contains", "regex", "refusal", "choice"):
                interval = oracle.wilson(sum(wanted.values), wanted.n)
                assert (found["low"], found["high"]) == pytest.approx(interval, abs=1e-9)

    def test_scores_differ_between_mixtures(self, points: dict[str, Any]) -> None:
        """Else the comparison above would prove little."""
        for objective in ("has", "form", "loss", "drift", "cost"):
            seen = {point["scores"][objective]["mean"] for point in points.values()}
            assert len(seen) >= 3, objective

    def test_report_split(self, bench: Bench) -> None:
        """The rows held back, and only the objectives named."""
        found = bench.json(
            "evaluate", bench.studies["trio"], "--recipe", bench.recipe("sum"),
            "--objectives", "pick,loss", "--split", "report",
        )["points"][0]["scores"]  # fmt: skip
        assert list(found) == ["pick", "loss"]
        tokenizer, ends = bench.words("trio")
        speaker = bench.once(bench.speaker, "sum")
        for objective in FEW:
            wanted = oracle.score(
                objective, bench.family.root, speaker, tokenizer, ends, split="report"
            )
            same_score(found[objective["name"]], wanted)


def ulps(found: Tensor, wanted: Tensor) -> int:
    """Largest distance of two bfloat16 tensors in units in the last place; −0.0 is 0.0."""
    assert found.dtype == wanted.dtype == torch.bfloat16

    def place(tensor: Tensor) -> Tensor:
        bits = tensor.contiguous().view(torch.int16).int()
        return torch.where(bits < 0, -(bits & 0x7FFF), bits)

    return int((place(found) - place(wanted)).abs().max())


def merge_file(bench: Bench, name: str) -> Path:
    mix = MIXES[name]
    document = {
        "method": mix.method,
        "coefficients": dict(mix.coefficients),
        "parameters": dict(mix.parameters),
        "base": str(bench.family.base),
        "experts": {key: str(place) for key, place in bench.experts(mix.study).items()},
    }
    place = bench.root / f"merge {name}.yaml"
    place.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return place


class TestMerge:
    @pytest.mark.parametrize("name", MERGED)
    def test_float32(self, bench: Bench, tmp_path: Path, name: str) -> None:
        out = tmp_path / "out"
        found = bench.json("merge", merge_file(bench, name), out, "--dtype", "float32")
        assert Path(found["out"]) == out and found["seconds"] > 0
        assert "model.safetensors" in [Path(each).name for each in found["files"]]
        tensors = oracle.state(out)
        wanted = bench.once(bench.weights, name)
        assert set(tensors) == set(wanted)
        for key, tensor in wanted.items():
            assert tensors[key].dtype == torch.float32 and tensors[key].shape == tensor.shape
            error = float((tensors[key].double() - tensor.double()).abs().max())
            assert error <= 1e-6 * float(tensor.abs().max()), (key, error)

    @pytest.mark.parametrize("name", ["sum", "pcb", "added sum", "padded mean"])
    def test_checkpoint_dtype(self, bench: Bench, tmp_path: Path, name: str) -> None:
        """One rounding, in shards with an index, and plain transformers loads it."""
        out = tmp_path / "out"
        bench.json("merge", merge_file(bench, name), out, "--shard-size", "40KB")
        index = oracle.read_json(out / "model.safetensors.index.json")
        assert len(set(index["weight_map"].values())) > 2
        tensors = oracle.state(out)
        wanted = oracle.rounded(bench.once(bench.weights, name), torch.bfloat16)
        assert set(tensors) == set(wanted) == set(index["weight_map"])
        assert max(ulps(tensors[key], tensor) for key, tensor in wanted.items()) <= 1
        model = oracle.load(out)
        rows = len(wanted["model.embed_tokens.weight"])
        assert model.config.vocab_size == rows
        assert oracle.logits(model, [0, 70]).shape == (2, rows)

    def test_raw_state_dicts(self, bench: Bench, tmp_path: Path) -> None:
        """Single files, integer tensors and a scalar; float32 already, so nothing is rounded."""
        from safetensors.torch import save_file

        generator = torch.Generator().manual_seed(0)
        places = {}
        for i, name in enumerate(("base", "a", "b")):
            tensors = {
                "layer.weight": torch.randn(7, 5, generator=generator),
                "scale": torch.randn((), generator=generator),
                "steps": torch.tensor([3 + i, 4]),
            }
            places[name] = tmp_path / f"{name}.safetensors"
            save_file(tensors, places[name])
        base = places.pop("base")
        c = {"a": 0.4, "b": 1.7}
        document = {
            "method": "task_arithmetic",
            "coefficients": c,
            "base": str(base),
            "experts": {name: str(place) for name, place in places.items()},
        }
        (tmp_path / "merge.yaml").write_text(yaml.safe_dump(document))
        bench.json("merge", tmp_path / "merge.yaml", tmp_path / "out")
        found = oracle.state(tmp_path / "out" / "model.safetensors")
        wanted = oracle.merged(base, places, "task_arithmetic", c)
        assert set(found) == set(wanted)
        assert found["steps"].tolist() == [3, 4]
        for key in ("layer.weight", "scale"):
            assert torch.allclose(found[key], wanted[key], rtol=0, atol=2e-6)


SIDE_FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")


class TestExport:
    @pytest.mark.parametrize("name", ["sum", "pcb", "padded sum"])
    def test_reloads_and_says_the_same(self, bench: Bench, tmp_path: Path, name: str) -> None:
        """The weights that were scored: texts and losses of the export are the point's."""
        mix, out = MIXES[name], tmp_path / "out"
        study, recipe = bench.studies[f"{mix.study} few"], bench.recipe(name)
        found = bench.json("export", study, "--recipe", recipe, out, "--verify")
        assert found["verified"] is True
        assert found["max_logit_difference"] <= 1e-4
        wanted = oracle.rounded(bench.once(bench.weights, name), torch.bfloat16)
        tensors = oracle.state(out)
        assert max(ulps(tensors[key], tensor) for key, tensor in wanted.items()) <= 1

        model, (tokenizer, ends) = oracle.load(out), bench.words(mix.study)
        outputs = bench.json("generate", study, "--recipe", recipe, "--prompt", *PROMPTS,
                             "--max-new-tokens", NEW)["outputs"]  # fmt: skip
        for prompt, each in zip(PROMPTS, outputs, strict=True):
            ids = oracle.encode(tokenizer, prompt)
            assert oracle.greedy(model, tokenizer, ids, NEW, ends).agrees(each["token_ids"])
        point = bench.json("evaluate", study, "--recipe", recipe)
        for objective in FEW:
            score = oracle.score(objective, bench.family.root, model, tokenizer, ends)
            same_score(point["points"][0]["scores"][objective["name"]], score)

        base = bench.family.base
        for file in SIDE_FILES:
            assert (out / file).read_bytes() == (base / file).read_bytes(), file
        if mix.study == "padded":
            config = oracle.read_json(base / "config.json") | {"vocab_size": families.MORE_ROWS}
            assert oracle.read_json(out / "config.json") == config
        else:
            assert (out / "config.json").read_bytes() == (base / "config.json").read_bytes()

    def test_added_tokens_come_along(self, bench: Bench, tmp_path: Path) -> None:
        """The tokenizer that the family names covers the added rows, so it is the one exported."""
        out, coder = tmp_path / "out", bench.family.experts["coder"]
        bench.json("export", bench.studies["added few"], "--recipe", bench.recipe("added sum"), out)
        for file in SIDE_FILES:
            assert (out / file).read_bytes() == (coder / file).read_bytes(), file
        config = oracle.read_json(bench.family.base / "config.json")
        assert oracle.read_json(out / "config.json") == config | {"vocab_size": families.ADDED_ROWS}
        tokenizer = oracle.load_tokenizer(out)
        assert oracle.encode(tokenizer, "<plan>") == [0, 304]
        found = oracle.logits(oracle.load(out), [0, 304, 70])
        wanted = oracle.logits(bench.once(bench.speaker, "added sum"), [0, 304, 70])
        assert float((found - wanted).abs().max()) < FLIPS

    def test_adapter(self, bench: Bench, tmp_path: Path) -> None:
        """A point of adapters as one adapter: exact in plain peft, beside the untouched base."""
        out = tmp_path / "out"
        recipe = bench.recipe("sum of adapters")
        found = bench.json(
            "export", bench.studies["trio few"], "--recipe", recipe, out, "--adapter"
        )
        assert Path(found["out"]) == out
        wanted = bench.once(bench.speaker, "sum of adapters")
        alone = oracle.unmerged(bench.family.base, {"mixed": out}, {"mixed": 1.0})
        for ids in ([0, 70, 80], [0, 262, 225, 299]):
            difference = oracle.logits(alone, ids) - oracle.logits(wanted, ids)
            assert float(difference.abs().max()) < 1e-4
        delta, parts = oracle.lora_deltas(out), MIXES["sum of adapters"].weights
        for key, tensor in delta.items():
            total = sum(
                c * oracle.lora_deltas(bench.family.experts[expert])[key]
                for expert, c in parts.items()
            )
            assert float((tensor - total).abs().max()) <= 1e-6 * float(total.abs().max())

    def test_merged_adapters_state_their_difference(self, bench: Bench, tmp_path: Path) -> None:
        """Scored unmerged, exported merged: rounding shows, and the number is what it is."""
        out = tmp_path / "out"
        recipe = bench.recipe("sum of adapters")
        found = bench.json("export", bench.studies["trio few"], "--recipe", recipe, out, "--verify")
        difference = found["max_logit_difference"]
        assert difference is not None and 0 < difference < 2 and math.isfinite(difference)
