"""The oracle against numbers worked out by hand, published vectors and transformers' own loop."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests import families, oracle

GOLDEN = Path(__file__).parent / "golden" / "merging"
EXPERTS = ("expert_a", "expert_b", "expert_c")


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> families.FamilyFiles:
    return families.build_tied_family(tmp_path_factory.mktemp("family"))


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The reference models as raw safetensors files."""
    arrays = np.load(GOLDEN / "inputs.npz")
    root = tmp_path_factory.mktemp("golden")
    places = {}
    for model in ("base", *EXPERTS):
        tensors = {
            key.removeprefix(f"{model}/"): torch.from_numpy(arrays[key])
            for key in arrays.files
            if key.startswith(f"{model}/")
        }
        places[model] = root / f"{model}.safetensors"
        save_file(tensors, places[model])
    return places


@pytest.fixture(scope="module")
def base(family: families.FamilyFiles) -> torch.nn.Module:
    return oracle.load(family.base)


def reference(case: str) -> dict[str, Tensor]:
    arrays = np.load(GOLDEN / f"{case}.npz")
    return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def close(found: Tensor, wanted: Tensor, part: float = 1e-6) -> None:
    assert found.shape == wanted.shape
    error = float((found.double() - wanted.double()).abs().max())
    assert error <= part * float(wanted.abs().max()), error


def flat(tensors: dict[str, Tensor]) -> Tensor:
    """Float tensors, sorted by name, end to end."""
    names = sorted(name for name, tensor in tensors.items() if tensor.is_floating_point())
    return torch.cat([tensors[name].flatten() for name in names])


def raw(place: Path, **tensors: list) -> Path:
    save_file({name: torch.tensor(value) for name, value in tensors.items()}, place)
    return place


class TestMerged:
    def test_by_hand(self, tmp_path: Path) -> None:
        base = raw(tmp_path / "0", w=[[1.0, 2.0], [3.0, 4.0]], n=[7])
        a = raw(tmp_path / "a", w=[[2.0, 2.0], [3.0, 0.0]], n=[8])
        b = raw(tmp_path / "b", w=[[1.0, 4.0], [1.0, 4.0]], n=[9])
        experts = {"a": a, "b": b}
        sum_ = oracle.merged(base, experts, "task_arithmetic", {"a": 0.5, "b": 2.0})
        assert sum_["w"].tolist() == [[1.5, 6.0], [-1.0, 2.0]]
        assert sum_["n"].tolist() == [7]
        half = oracle.merged(
            base, experts, "task_arithmetic", {"a": 0.5, "b": 2.0}, {"strength": 0.5}
        )
        assert half["w"].tolist() == [[1.25, 4.0], [1.0, 3.0]]
        mean = oracle.merged(base, experts, "linear", {"base": 1.0, "a": 2.0, "b": 1.0})
        assert mean["w"].tolist() == [[1.5, 2.5], [2.5, 2.0]]

    def test_rows(self, tmp_path: Path) -> None:
        """Shared rows are merged, a row the expert lacks stays, a row the base lacks is copied."""
        base = raw(tmp_path / "0", w=[[1.0], [2.0], [3.0]])
        experts = {
            "short": raw(tmp_path / "s", w=[[3.0], [4.0]]),
            "long": raw(tmp_path / "l", w=[[1.0], [2.0], [5.0], [9.0]]),
        }
        c = {"short": 0.5, "long": 0.5}
        assert oracle.merged(base, experts, "task_arithmetic", c)["w"].flatten().tolist() == [
            2.0, 3.0, 4.0, 9.0,
        ]  # fmt: skip
        assert oracle.merged(base, experts, "linear", c)["w"].flatten().tolist() == [
            2.0, 3.0, 4.0, 9.0,
        ]  # fmt: skip

    @pytest.mark.parametrize(("rslora", "scale"), [(False, 3.0), (True, 6 / math.sqrt(2))])
    def test_lora(self, tmp_path: Path, rslora: bool, scale: float) -> None:
        base = raw(tmp_path / "0", **{"m.weight": [[1.0, 0.0], [0.0, 1.0]]})
        adapter = tmp_path / "adapter"
        adapter.mkdir()
        raw(
            adapter / "adapter_model.safetensors",
            **{
                "base_model.model.m.lora_A.weight": [[1.0, 2.0], [0.0, 1.0]],
                "base_model.model.m.lora_B.weight": [[1.0, 0.0], [1.0, 1.0]],
            },
        )
        families.write_json(
            adapter / "adapter_config.json", {"r": 2, "lora_alpha": 6, "use_rslora": rslora}
        )
        found = oracle.merged(base, {"x": adapter}, "task_arithmetic", {"x": 0.5})["m.weight"]
        delta = torch.tensor([[1.0, 2.0], [1.0, 3.0]])  # B A
        close(found, torch.eye(2) + 0.5 * scale * delta)

    def test_rounding_is_to_nearest_even(self) -> None:
        value = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8])
        found = oracle.rounded({"w": value, "n": torch.tensor([3])}, torch.bfloat16)
        assert found["w"].tolist() == [1.0, 1 + 2 * 2**-7]
        assert found["n"].dtype == torch.int64

    def test_wise_ft(self, golden: dict[str, Path]) -> None:
        wanted = reference("wiseft_alpha0.3")
        found = oracle.merged(
            golden["base"], {"x": golden["expert_a"]}, "linear", {"base": 0.7, "x": 0.3}
        )
        for name, tensor in wanted.items():
            close(found[name], tensor)
        assert found["model.position_ids"].dtype == torch.int64

    @pytest.mark.parametrize(
        ("case", "method", "weights"),
        [
            ("mergekit_0.1.5_linear", "linear", (0.1, 0.3, 0.4, 0.5)),
            ("mergekit_0.1.5_ta_w", "task_arithmetic", (0.0, 0.3, 0.5, 0.2)),
        ],
    )
    def test_mergekit(
        self, golden: dict[str, Path], case: str, method: str, weights: tuple[float, ...]
    ) -> None:
        experts = {name: golden[name] for name in EXPERTS}
        c = dict(zip(("base", *EXPERTS), weights, strict=True))
        found = oracle.merged(golden["base"], experts, method, c)
        for name, tensor in reference(case).items():
            close(found[name], tensor, 2e-6)


class TestPcb:
    @pytest.mark.parametrize(
        ("case", "variant", "ratio", "scale"),
        [
            ("pcb_main_r0.1", "main", 0.1, 1.0),
            ("pcb_main_r0.2", "main", 0.2, 1.0),
            ("pcb_nlp_r0.1", "nlp", 0.1, 1.0),
            ("pcb_vision_main_r0.05_lam1.2", "vision", 0.05, 1.2),
        ],
    )
    def test_published(self, case: str, variant: str, ratio: float, scale: float) -> None:
        vectors = torch.from_numpy(np.load(GOLDEN / "inputs_flat.npz")["task_vectors"])
        wanted = reference(case)
        basis, clamped, scores = oracle.pcb_basis(vectors, ratio, variant)
        close(scale * basis.sum(0), wanted["merged_tv"])
        close(clamped, wanted["clamped"])
        close(scores, wanted["scale"])

    def test_published_pairwise(self) -> None:
        vectors = torch.from_numpy(np.load(GOLDEN / "inputs_flat.npz")["task_vectors"])
        wanted = reference("pcb_visionES_r0.05")
        basis, clamped, scores = oracle.pcb_basis(vectors, 0.05, "vision_es")
        close(clamped, wanted["clamped"])
        close(scores, wanted["scale"])
        close(basis, clamped * wanted["scale"] / wanted["scale"].sum(0).clamp_min(1e-12))

    def test_whole_models_with_coefficients(self, golden: dict[str, Path]) -> None:
        experts = {name: golden[name] for name in EXPERTS}
        c = dict(zip(EXPERTS, (0.2, 0.5, 0.9), strict=True))
        found = oracle.merged(golden["base"], experts, "pcb", c, {"ratio": 0.1})
        close(flat(found), reference("pcb_main_r0.1_lam_0.2_0.5_0.9")["merged_flat"])

    def test_zero_expert(self) -> None:
        """Published: NaN for all. Here the empty expert has no share and the others keep theirs."""
        assert reference("pcb_edge_zero_expert")["merged_tv"].isnan().all()
        vectors = torch.from_numpy(np.load(GOLDEN / "inputs_flat.npz")["task_vectors"]).clone()
        vectors[2] = 0
        basis, _, scores = oracle.pcb_basis(vectors)
        assert basis.isfinite().all()
        assert not basis[2].any() and not scores[2].any()
        assert basis[:2].any(1).all()

    def test_a_lone_expert_keeps_its_own_values(self) -> None:
        """n = 1: every kept coordinate has the share S / S = 1."""
        vectors = torch.linspace(-1, 1, 101)[None]
        basis, clamped, _ = oracle.pcb_basis(vectors, ratio=0.2)
        kept = basis[0] != 0
        assert 15 <= int(kept.sum()) <= 21
        close(basis[0][kept], clamped[0][kept])


class TestTexts:
    def test_generate_says_the_same(
        self, family: families.FamilyFiles, base: torch.nn.Module
    ) -> None:
        """Against transformers' own loop, on prompts that end by themselves and by length."""
        tokenizer = oracle.load_tokenizer(family.base)
        ends = oracle.end_tokens(family.base, tokenizer)
        seen = set()
        for prompt in ("the quick", "what is the colour of", "I am", "a kind answer", "dog"):
            for chat in (False, True):
                ids = oracle.encode(tokenizer, prompt, chat)
                spoken = oracle.greedy(base, tokenizer, ids, 16, ends)
                theirs = base.generate(
                    torch.tensor([ids]),
                    attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                    do_sample=False,
                    max_new_tokens=16,
                    repetition_penalty=1.0,
                    eos_token_id=sorted(ends),
                    pad_token_id=1,
                )[0, len(ids) :].tolist()
                if spoken.ended == "end":
                    assert theirs.pop() in ends
                assert spoken.agrees(theirs)
                seen.add(spoken.ended)
        assert seen == {"end", "length"}

    def test_stop(self, family: families.FamilyFiles, base: torch.nn.Module) -> None:
        tokenizer = oracle.load_tokenizer(family.base)
        ends = oracle.end_tokens(family.base, tokenizer)
        ids = oracle.encode(tokenizer, "what is the colour", True)
        free = oracle.greedy(base, tokenizer, ids, 24, ends)
        text = oracle.decode(tokenizer, free.ids)
        stop = next(c for c in text[3:] if c.isalpha())
        stopped = oracle.greedy(base, tokenizer, ids, 24, ends, [stop])
        assert stopped.ended == "stop"
        assert stopped.ids == free.ids[: len(stopped.ids)]
        said = oracle.decode(tokenizer, stopped.ids)
        assert oracle.cut(said, [stop]) == text[: text.index(stop)]

    def test_ties(self) -> None:
        """The lowest id wins, the step counts as close, and only there may a text part."""

        class Flat(torch.nn.Module):
            def forward(self, ids: Tensor, use_cache: bool) -> object:
                found = torch.zeros(1, ids.shape[1], 6)
                found[..., 3] = found[..., 5] = 1.0

                class Output:
                    logits = found

                return Output()

        spoken = oracle.greedy(Flat(), None, [0], 3, {1})
        assert spoken.ids == (3, 3, 3)
        assert spoken.close == (0, 1, 2) and spoken.margin == 0
        assert spoken.agrees([3, 5, 0])
        sure = oracle.Spoken((3, 3), (1.0, 1e-5), "length")
        assert sure.agrees([3, 5]) and not sure.agrees([5, 3]) and sure.agrees([3])

    def test_encoding(self, family: families.FamilyFiles) -> None:
        """One BOS in either form, and the end tokens of all three files."""
        tokenizer = oracle.load_tokenizer(family.base)
        for chat in (False, True):
            assert oracle.encode(tokenizer, "the fox", chat).count(tokenizer.bos_token_id) == 1
        assert oracle.continuation(tokenizer, "the fox") == oracle.encode(tokenizer, "the fox")[1:]
        assert oracle.end_tokens(family.base, tokenizer) == {2, 3, 4}
        assert len(tokenizer) == families.VOCABULARY
        coder = oracle.load_tokenizer(family.experts["coder"])
        assert len(coder) == families.VOCABULARY + len(families.ADDED)

    def test_fusion_by_hand(self) -> None:
        class Says(torch.nn.Module):
            def __init__(self, *row: float) -> None:
                super().__init__()
                self.row = torch.tensor(row)

            def forward(self, ids: Tensor, use_cache: bool) -> object:
                self.logits = self.row.expand(1, ids.shape[1], -1)
                return self

        one, two = Says(1.0, 2.0, 9.0, 0.0), Says(4.0, -1.0, 0.0)
        fused = oracle.Fused([one, two], [0.5, -2.0], rows=3, vocabulary=2)
        assert oracle.logits(fused, [0])[0].tolist() == [-7.5, 3.0, -math.inf]
        p, q = Says(math.log(0.2), math.log(0.8)), Says(math.log(0.6), math.log(0.4))
        kl = oracle.Fused([p, q], [0.5, 0.5], rows=2, vocabulary=2, kind="forward_kl")
        found = oracle.logits(kl, [0])[0].exp().tolist()
        assert found == pytest.approx([1 / (0.5 / 0.2 + 0.5 / 0.6), 1 / (0.5 / 0.8 + 0.5 / 0.4)])

    def test_unmerged_is_merged(self, family: families.FamilyFiles) -> None:
        """peft's adapters with scaled scales, and the same sum written into unrounded weights."""
        adapters = {name: family.experts[name] for name in ("terse", "formal")}
        c = {"terse": 0.7, "formal": 1.3}
        weights = oracle.merged(family.base, adapters, "task_arithmetic", c)
        ids = [0, 70, 80, 90]
        one = oracle.logits(oracle.load_merged(family.base, weights), ids)
        two = oracle.logits(oracle.unmerged(family.base, adapters, c), ids)
        close(two, one, 1e-5)
        zero = oracle.logits(oracle.load(family.base), ids)
        assert (one - zero).abs().max() > 0.5

    def test_more_rows_load(self, family: families.FamilyFiles) -> None:
        """One-hot at an expert with more rows is that expert, its added tokens included."""
        coder = family.experts["coder"]
        weights = oracle.merged(family.base, {"coder": coder}, "task_arithmetic", {"coder": 1.0})
        model = oracle.load_merged(family.base, oracle.rounded(weights, torch.bfloat16))
        found = oracle.logits(model, [0, 303, 70])
        assert found.shape[-1] == families.ADDED_ROWS
        assert torch.equal(found, oracle.logits(oracle.load(coder), [0, 303, 70]))


class TestScores:
    def test_splits(self, tmp_path: Path) -> None:
        """sha256("p0") begins 169b5b82 (0.09 of the range), sha256("p1") f64551fc (0.96)."""
        families.write_lines(tmp_path / "d", [{"prompt": f"p{i}", "target": ""} for i in range(40)])
        objective = {"data": "d", "report_fraction": 0.3}
        parts = [
            [row["prompt"] for row in oracle.rows_of(objective, tmp_path, split)]
            for split in ("explore", "report")
        ]
        assert len(parts[0]) + len(parts[1]) == 40 and 5 < len(parts[1]) < 20
        assert "p1" in parts[0] and "p0" in parts[1]
        few = oracle.rows_of({**objective, "limit": 4}, tmp_path, "explore")
        more = oracle.rows_of({**objective, "limit": 5}, tmp_path, "explore")
        chosen = [row["prompt"] for row in few]
        assert len(chosen) == 4 and chosen == sorted(chosen, key=lambda name: int(name[1:]))
        assert [row for row in more if row in few] == few

    def test_rows_are_placed_by_their_question(self) -> None:
        user = {"role": "user", "content": " ça\n va "}
        assert oracle.content({"messages": [user], "target": "x"}) == "ça\n va"
        assert oracle.content({"prompt": "ça\n va ", "target": "x"}) == "ça\n va"
        assistant = {"role": "assistant", "content": "x"}
        assert oracle.content({"messages": [user, assistant]}) == "ça\n va"
        answered = [{"role": "system", "content": " s"}, user, assistant]
        assert oracle.content({"messages": answered}) == (
            '[{"content":" s","role":"system"},{"content":" ça\\n va ","role":"user"},'
            '{"content":"x","role":"assistant"}]'
        )

    @pytest.mark.parametrize(
        ("objective", "text", "targets", "wanted"),
        [
            ({"scorer": "exact_match"}, " a\n b ", ["a b"], True),
            ({"scorer": "exact_match"}, "A b", ["a b"], False),
            ({"scorer": "exact_match", "ignore_case": True}, "A b", ["x", "a b"], True),
            ({"scorer": "contains"}, "a bc", ["bc", "d"], True),
            ({"scorer": "contains"}, "a bc", ["d"], False),
            ({"scorer": "regex", "pattern": "b+"}, "abb", [""], True),
            ({"scorer": "regex", "pattern": "(b+)"}, "abb", ["bb"], True),
            ({"scorer": "regex", "pattern": "(b+)"}, "abb", ["b"], False),
            ({"scorer": "refusal", "phrases": ["I am sorry"]}, "So. i am sorry.", [""], True),
            ({"scorer": "refusal", "phrases": ["I am sorry"]}, "so i am sorry.", [""], False),
        ],
    )
    def test_matches(self, objective: dict, text: str, targets: list[str], wanted: bool) -> None:
        assert oracle.matches(objective, text, targets) is wanted

    def test_errors_by_hand(self) -> None:
        found = oracle.summary([1.0, 2.0, 6.0])
        assert found.mean == 3 and found.stderr == pytest.approx(math.sqrt(7 / 3))
        assert oracle.summary([1.0]).stderr is None
        low, high = oracle.wilson(3, 4)
        assert (low, high) == pytest.approx((0.3006, 0.9544), abs=1e-4)
        found = oracle.perplexity([1.0, 2.0], [1, 3])
        # ratio 0.75, residuals ±0.25: error √(0.125 / 2) / 2 of the ratio
        assert found.mean == pytest.approx(math.exp(0.75))
        assert found.stderr == pytest.approx(math.exp(0.75) * 0.125)

    def test_likelihoods(self, family: families.FamilyFiles) -> None:
        """log p sums to the loss that transformers reports."""
        model = oracle.load(family.base)
        prompt, tokens = [0, 70, 80], [90, 100, 2]
        labels = torch.tensor([[-100] * 3 + tokens])
        loss = float(model(torch.tensor([prompt + tokens]), labels=labels).loss)
        assert -float(oracle.log_probs(model, prompt, tokens).mean()) == pytest.approx(
            loss, rel=1e-5
        )
        assert oracle.divergence(model, model, prompt, tokens) == 0
        assert oracle.divergence(oracle.load(family.experts["padded"]), model, prompt, tokens) > 0.1

    def test_every_objective_of_the_family(self, family: families.FamilyFiles) -> None:
        """Texts, choices and losses are neither all right nor all wrong, so that a fault shows."""
        model = oracle.load(family.experts["helpful"])
        base = oracle.load(family.base)
        tokenizer = oracle.load_tokenizer(family.base)
        ends = oracle.end_tokens(family.base, tokenizer)
        for objective in families.OBJECTIVES:
            if objective["scorer"] == "cost":
                continue
            speaker = base if objective["name"] == "exact" else model
            found = oracle.score(objective, family.root, speaker, tokenizer, ends, base=base)
            assert found.n >= 6 and found.stderr is not None and found.stderr > 0, objective
            assert found.n == objective.get("limit", found.n)


@pytest.mark.parametrize("name", families.BROKEN_MODELS)
def test_breaking_breaks_one_thing(family: families.FamilyFiles, tmp_path: Path, name: str) -> None:
    """Each helper changes the expert it is given, on disk."""
    import shutil

    place = tmp_path / "expert"
    shutil.copytree(family.experts["helpful"], place)
    before = {file.name: file.read_bytes() for file in place.iterdir()}
    families.BROKEN_MODELS[name](place)
    after = {file.name: file.read_bytes() for file in place.iterdir()} if place.exists() else {}
    assert before != after


@pytest.mark.parametrize("name", families.BROKEN_STUDIES)
def test_breaking_a_study(tmp_path: Path, name: str) -> None:
    families.write_lines(
        tmp_path / "data/exact.jsonl", [{"prompt": str(i), "target": "x"} for i in range(5)]
    )
    files = families.FamilyFiles(tmp_path, tmp_path, tmp_path, {"helpful": tmp_path / "h"})
    study, data = files.study("helpful"), tmp_path / "data/exact.jsonl"
    before = study.read_text(), data.read_text()
    families.BROKEN_STUDIES[name](study)
    assert before != (study.read_text(), data.read_text() if data.exists() else None)


def test_manifest_lists_what_is_here() -> None:
    manifest = json.loads((GOLDEN / "manifest.json").read_text())
    assert {case["file"] for case in manifest["cases"]} <= {file.name for file in GOLDEN.iterdir()}
