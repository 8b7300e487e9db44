"""The stacked experts of mixtures: scored by what is routed to them, zeroed, written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from engine.errors import BadInput, ParetoscopeError
from engine.family.tiny_model import tiny_model
from engine.merging.basis import nothing
from engine.pruning.layers import linear_layers, listening
from engine.pruning.scores import Halves, by_activation, by_gradient, norms
from engine.pruning.zeros import Gathered
from engine.recipe import Recipe
from engine.scoring.harmful import ObjectiveRows
from engine.study import load_study
from tests.engine.pruning.mixtures import EXPERTS, KINDS, build, squares
from tests.engine.pruning.test_points import Bench

PRUNE = {"objective": "harm", "ratio": 0.2}
MERGE = {"method": "task_arithmetic", "coefficients": {"helpful": 0.7}}


class Mixture(Bench):
    """A study of a mixture, and its merge written without pruning."""

    def __init__(self, root: Path, kind: str) -> None:
        super().__init__(build(root, kind), root / "workspace")
        self.kind, self.root = kind, root
        self.run("export", recipe=MERGE, out=str(root / "whole"))

    def texts(self, objective: str) -> Sequence[Halves]:
        """Ids of each row's prompt and of what follows it."""
        rows = ObjectiveRows(load_study(self.file).objectives, "")
        return rows.texts(objective, rows.digest(objective, "activation"), self.composer.text)

    def recipe(self, prune: dict[str, Any] | None = PRUNE, **more: Any) -> Recipe:
        return super().recipe(prune, **more)

    def written(self, name: str) -> dict[str, Tensor]:
        return load_file(self.root / name / "model.safetensors")


@pytest.fixture(scope="module", params=KINDS)
def mixture(tmp_path_factory: pytest.TempPathFactory, request: Any) -> Iterator[Mixture]:
    made = Mixture(tmp_path_factory.mktemp("mixture"), request.param)
    yield made
    made.families.close()


def is_of_an_expert(name: str) -> bool:
    return ".experts." in name


def test_the_weights_that_a_slow_reference_picks_are_zero_wherever_it_is_loaded(
    mixture: Mixture,
) -> None:
    mixture.run("export", recipe={**MERGE, "prune": PRUNE}, out=str(mixture.root / "pruned"))
    whole, pruned = mixture.written("whole"), mixture.written("pruned")
    texts = [[*prompt, *follows] for prompt, follows in mixture.texts("harm")]
    read = squares(mixture.root / "whole", mixture.kind, texts)
    experts = [name for name in whole if is_of_an_expert(name)]
    assert read.keys() < set(experts)  # an expert that no row visits keeps its weights
    for name in experts:
        expected = whole[name].clone()
        if name in read:
            score = whole[name].abs() * (read[name] / len(texts)).sqrt().float()
            count = score.shape[1] - int(score.shape[1] * 0.8)
            expected.scatter_(1, score.topk(count).indices, 0.0)
        assert torch.equal(pruned[name], expected), name
    zeros = mixture.composer.zeros(mixture.recipe())
    differing = sum(int((whole[name] != pruned[name]).sum()) for name in whole)
    assert zeros.count == differing and zeros.of > sum(whole[name].numel() for name in experts)
    plain = AutoModelForCausalLM.from_pretrained(mixture.root / "pruned", dtype=torch.float32)
    live = mixture.weights(mixture.recipe())
    assert all(torch.equal(each, live[name]) for name, each in plain.state_dict().items())


def test_a_ratio_of_zero_is_the_merge_as_it_is(mixture: Mixture) -> None:
    recipe = mixture.recipe({**PRUNE, "ratio": 0})
    assert recipe == mixture.recipe(None)
    live = mixture.weights(recipe)
    plain = AutoModelForCausalLM.from_pretrained(mixture.root / "whole", dtype=torch.float32)
    assert all(torch.equal(each, live[name]) for name, each in plain.state_dict().items())


def test_a_gradient_takes_its_share_of_each_expert_that_it_reaches(mixture: Mixture) -> None:
    pruned = mixture.weights(mixture.recipe({**PRUNE, "objective": "loss", "variant": "gradient"}))
    plain = AutoModelForCausalLM.from_pretrained(
        mixture.root / "whole", dtype=torch.float32, experts_implementation="eager"
    )
    ((prompt, follows),) = mixture.texts("loss")
    ids = torch.tensor([[*prompt, *follows]])
    logits = plain(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
    nn.functional.cross_entropy(logits, ids[0, len(prompt) :]).backward()
    kept = 0
    for name, weight in plain.named_parameters():
        if weight.dim() != 3:
            continue
        assert weight.grad is not None
        for expert in range(EXPERTS):
            before, after = weight[expert].detach(), pruned[name][expert]
            if not weight.grad[expert].any():
                assert torch.equal(before, after)
                kept += 1
                continue
            score = (before.abs() * weight.grad[expert].abs()).flatten()
            gone = (after == 0).flatten()
            assert int(gone.sum()) == int(score.numel() * 0.2)
            assert score[gone].min() >= score[~gone].max() * (1 - 1e-3)
    assert kept


def test_mixtures_have_points_of_their_own(mixture: Mixture) -> None:
    objectives = load_study(mixture.file).objectives
    before = ObjectiveRows(objectives, mixture.opened.tokenizer_hash).digest("harm", "activation")
    prune = mixture.recipe().prune
    assert prune is not None and prune.rows != before
    with pytest.raises(BadInput, match="have changed since, or what they reach"):
        mixture.recipe({**PRUNE, "rows": before})


def test_experts_that_are_converted_while_they_load_are_refused(
    mixture: Mixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows = Gathered.knows
    monkeypatch.setattr(
        Gathered, "knows", lambda self, name: "down_proj" not in name and knows(self, name)
    )
    with pytest.raises(BadInput, match=r"converts the experts model\.layers\.\d\.mlp\.experts"):
        mixture.composer.compose(mixture.recipe(coefficients={"helpful": 0.9}))
    assert mixture.composer.live is None


def test_matrices_that_lie_the_other_way_with_biases() -> None:
    """gpt-oss: [experts, in, out], gate and up in turns."""
    module = tiny_model({"model_type": "gpt_oss"}, seed=0)
    model: Any = SimpleNamespace(
        modules=(module,), mixture=None, vocabulary=None, rows=None, cost=1.0
    )
    ids = [5, 9, 11, 60, 61]
    given: dict[str, tuple[Tensor, Tensor]] = {}
    experts = {n: each for n, each in module.named_modules() if hasattr(each, "is_transposed")}
    hooks = [
        each.register_forward_pre_hook(lambda _, args, n=name: given.__setitem__(n, args[:2]))
        for name, each in experts.items()
    ]
    found = norms(model, [(ids, ())], nothing)
    for hook in hooks:
        hook.remove()
    layers = {each.name: each for each in linear_layers(module)}
    for name, each in experts.items():
        hidden, chosen = given[name]
        up = torch.zeros(each.gate_up_proj.shape[:2], dtype=torch.float64)
        down = torch.zeros(each.down_proj.shape[:2], dtype=torch.float64)
        for x, numbers in zip(hidden, chosen.tolist(), strict=True):
            for expert in numbers:
                up[expert] += x.double().square()
                both = x @ each.gate_up_proj[expert] + each.gate_up_proj_bias[expert]
                gate, line = both[::2].clamp(max=7.0), both[1::2].clamp(-7.0, 7.0)
                middle = (line + 1) * gate * torch.sigmoid(1.702 * gate)
                down[expert] += middle.detach().double().square()
        torch.testing.assert_close(found[f"{name}.gate_up_proj"], up.sqrt(), rtol=1e-5, atol=0)
        torch.testing.assert_close(found[f"{name}.down_proj"], down.sqrt(), rtol=1e-5, atol=1e-9)
        layer = layers[f"{name}.down_proj"]
        mask = by_activation(layer, found[layer.name], 0.25)
        visited = [n for n in range(mask.shape[0]) if down[n].any()]
        for expert in visited:
            score = each.down_proj[expert].abs() * down[expert].sqrt().float()[:, None]
            expected = torch.zeros(score.shape, dtype=torch.bool)
            wanted = expected.scatter(0, score.topk(score.shape[0] // 4, dim=0).indices, True)
            assert torch.equal(mask[expert], wanted)
        assert int(mask.sum()) == len(visited) * score.numel() // 4


def test_experts_without_any_gradient_keep_their_weights() -> None:
    layer = next(
        each for each in linear_layers(tiny_model({"model_type": "mixtral"}, seed=0))
        if each.experts is not None
    )  # fmt: skip
    gradient = torch.zeros(layer.weight.shape)
    gradient[1, 0, 0] = 1.0
    mask = by_gradient(layer, gradient, 0.5)
    assert mask[1, 0, 0] and int(mask[1].sum()) == mask[1].numel() // 2
    assert int(mask.sum()) == int(mask[1].sum())


@pytest.mark.parametrize("implementation", ["eager", "grouped_mm", "batched_mm"])
def test_what_is_heard_does_not_depend_on_how_experts_run(implementation: str) -> None:
    module = tiny_model({"model_type": "qwen3_moe"}, seed=0)
    layers = linear_layers(module)
    heard: dict[tuple[str, int], Tensor] = {}
    module.set_experts_implementation(implementation)
    with (
        torch.inference_mode(),
        listening(layers, lambda layer, read, n: heard.__setitem__((layer.name, n or 0), read)),
    ):
        module(input_ids=torch.tensor([[5, 9, 11, 60]]))
    module.set_experts_implementation("eager")
    stacks = {each.name for each in layers if each.experts is not None}
    again: dict[tuple[str, int], Tensor] = {}
    with (
        torch.inference_mode(),
        listening(layers, lambda layer, read, n: again.__setitem__((layer.name, n or 0), read)),
    ):
        module(input_ids=torch.tensor([[5, 9, 11, 60]]))
    assert again.keys() == heard.keys() and stacks <= {name for name, _ in heard}
    for each, read in again.items():
        torch.testing.assert_close(heard[each], read, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "named"),
    [("llama4_text", "Llama4TextExperts"), ("jetmoe", "JetMoeParallelExperts")],
)
def test_experts_that_do_not_say_how_they_lie_are_refused_by_name(kind: str, named: str) -> None:
    with pytest.raises(BadInput, match=rf"{named} \(model\.layers\.0.* layout that is not known"):
        linear_layers(tiny_model({"model_type": kind}, seed=0))


def test_experts_that_compute_something_else_than_they_say_are_refused() -> None:
    module = tiny_model({"model_type": "mixtral"}, seed=0)
    module.set_experts_implementation("eager")
    module.model.layers[0].mlp.experts._apply_gate = lambda both: both.chunk(2, dim=-1)[0]
    with (
        torch.inference_mode(),
        listening(linear_layers(module), lambda *_: None),
        pytest.raises(ParetoscopeError, match=r"MixtralExperts \(model\.layers\.0\.mlp\.experts\)"),
    ):
        module(input_ids=torch.tensor([[5, 9, 11, 60]]))
