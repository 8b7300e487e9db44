"""Scores and zeros against the same numbers worked out in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from engine.compose import Composer
from engine.family.compatibility import open_family
from engine.merging.basis import nothing
from engine.pruning.layers import Layer, linear_layers
from engine.pruning.scores import by_activation, by_gradient, gradients, norms
from engine.recipe import Recipe, resolve
from engine.study import FamilySpec
from tests.engine.jobs.small import build_small_study

TEXTS = [((0, 80, 81, 82), (90, 91)), ((0, 70), (71,)), ((0, 270, 265, 84, 85, 86), ())]
"""Ids of prompts and of what follows them."""


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    root = build_small_study(tmp_path_factory.mktemp("family")).parent
    family = open_family(FamilySpec(root / "base", {"helpful": root / "helpful"}))
    return Composer(family, device="cpu")


def by_hand(weight: np.ndarray, norm: np.ndarray, ratio: float) -> np.ndarray:
    """The published selection: a stable ascending sort of each row, whose first ones stay."""
    scores = np.abs(weight).astype(np.float32) * norm.astype(np.float32)
    keep = int(weight.shape[1] * (1 - ratio))
    order = np.argsort(scores, axis=1, kind="stable")
    mask = np.ones(weight.shape, bool)
    np.put_along_axis(mask, order[:, :keep], False, axis=1)
    return mask


def layer_of(module: nn.Linear | Conv1D) -> Layer:
    return Layer("it", module.weight, isinstance(module, Conv1D), [module])


@pytest.mark.parametrize("ratio", [0.0, 1e-9, 0.1, 0.25, 0.5, 0.99])
def test_which_weights_go(ratio: float) -> None:
    generator = np.random.default_rng(3)
    weight = generator.standard_normal((7, 20)).round(1)  # with ties
    norm = generator.uniform(0, 2, 20).round(1)
    norm[4] = 0.0
    linear = nn.Linear(20, 7)
    turned = Conv1D(7, 20)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight))
        turned.weight.copy_(torch.from_numpy(weight.T.copy()))
    wanted = by_hand(weight, norm, ratio)
    found = by_activation(layer_of(linear), torch.from_numpy(norm), ratio)
    assert np.array_equal(found.numpy(), wanted)
    assert int(found.sum()) == 7 * (20 - int(20 * (1 - ratio)))
    found = by_activation(layer_of(turned), torch.from_numpy(norm), ratio)
    assert np.array_equal(found.numpy(), wanted.T)


def test_which_weights_go_by_gradient() -> None:
    linear = nn.Linear(3, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, -2.0, 3.0], [0.5, 2.0, -1.0]]))
    gradient = torch.tensor([[3.0, -1.0, 0.1], [1.0, 1.0, 9.0]])  # 3, 2, .3 and .5, 2, 9
    found = by_gradient(layer_of(linear), gradient, 0.5)
    assert found.tolist() == [[True, False, False], [False, True, True]]  # of both 2, the later


def test_the_norm_of_what_the_first_layer_reads(composer: Composer) -> None:
    model = composer.compose(
        resolve(Recipe("task_arithmetic", {"helpful": 0.7}), composer.family.names)
    )
    (module,) = model.modules
    state = {name: each.detach().double().numpy() for name, each in module.state_dict().items()}
    squares = np.zeros(state["model.embed_tokens.weight"].shape[1])
    for prompt, follows in TEXTS:
        read = state["model.embed_tokens.weight"][[*prompt, *follows]]
        root = np.sqrt((read**2).mean(1, keepdims=True) + module.config.rms_norm_eps)
        squares += ((read / root * state["model.layers.0.input_layernorm.weight"]) ** 2).sum(0)
    found = norms(model, TEXTS, nothing)
    for name in ("q", "k", "v"):
        own = found[f"model.layers.0.self_attn.{name}_proj.weight"]
        assert own.dtype == torch.float64
        np.testing.assert_allclose(own.numpy(), np.sqrt(squares / 3), rtol=1e-5)


def test_batches_of_any_size_lead_to_the_same_zeros(composer: Composer) -> None:
    model = composer.compose(
        resolve(Recipe("task_arithmetic", {"helpful": 0.7}), composer.family.names)
    )
    (module,) = model.modules
    found, seen = norms(model, TEXTS, nothing), {}
    layers = linear_layers(module)
    longest = max(len(a) + len(b) for a, b in TEXTS)
    rows = [[*a, *b] + [0] * (longest - len(a) - len(b)) for a, b in TEXTS]
    real = torch.tensor(
        [[1] * (len(a) + len(b)) + [0] * (longest - len(a) - len(b)) for a, b in TEXTS]
    )

    def keep(name: str):  # type: ignore[no-untyped-def]
        def hook(_: object, given: tuple[torch.Tensor]) -> None:
            read = given[0].double()[real.bool()]
            seen[name] = (read.square().sum(0) / len(TEXTS)).sqrt()

        return hook

    handles = [each.modules[0].register_forward_pre_hook(keep(each.name)) for each in layers]
    with torch.inference_mode():
        module(input_ids=torch.tensor(rows), attention_mask=real)  # all of them, padded
    for each in handles:
        each.remove()
    assert seen.keys() == found.keys()
    for layer in layers:
        once, padded = (by_activation(layer, each[layer.name], 0.1) for each in (found, seen))
        assert torch.equal(once, padded), layer.name


def test_the_gradient_is_that_of_each_rows_own_mean_loss(composer: Composer) -> None:
    model = composer.compose(
        resolve(Recipe("task_arithmetic", {"helpful": 0.7}), composer.family.names)
    )
    (module,) = model.modules
    texts, found = TEXTS[:2], {}
    gradients(model, texts, nothing, lambda layer, own: found.__setitem__(layer.name, own))
    assert all(not each.requires_grad and each.grad is None for each in module.parameters())

    def loss() -> float:
        total = 0.0
        with torch.inference_mode():
            for prompt, follows in texts:
                logits = module(input_ids=torch.tensor([[*prompt, *follows]])).logits[0].double()
                for place, token in enumerate(follows, len(prompt) - 1):
                    total -= float(logits[place].log_softmax(-1)[token]) / len(follows)
        return total

    layer = linear_layers(module)[0]
    weight = layer.weight.detach()
    place = divmod(int(found[layer.name].abs().argmax()), weight.shape[1])
    before, step = float(weight[place]), 1e-2
    both = []
    for moved in (before + step, before - step):
        weight[place] = moved
        both.append(loss())
    weight[place] = before
    assert math.isclose(
        (both[0] - both[1]) / (2 * step), float(found[layer.name][place]), rel_tol=1e-2
    )


def test_embeddings_head_norms_and_biases_are_no_linear_layers(composer: Composer) -> None:
    module = composer.merged.module
    names = {each.name for each in linear_layers(module)}
    others = {name for name, _ in module.named_parameters()} - names
    assert all(".layers." in name and name.endswith("proj.weight") for name in names)
    assert all("norm" in name or "embed" in name or "head" in name for name in others)
    assert len(names) == 7 * module.config.num_hidden_layers


def test_what_runs_in_between_is_not_heard(composer: Composer) -> None:
    recipe = resolve(Recipe("task_arithmetic", {"helpful": 0.7}), composer.family.names)
    model = composer.compose(recipe)
    alone = norms(model, TEXTS, nothing)

    def other() -> None:
        with torch.inference_mode():
            model.modules[0](input_ids=torch.tensor([[0, 99, 98]]))

    heard = norms(model, TEXTS, other)
    assert all(torch.equal(alone[name], heard[name]) for name in alone)
