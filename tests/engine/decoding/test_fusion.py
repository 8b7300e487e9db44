from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from engine.decoding.fusion import Mixture, combine, mix
from engine.decoding.proxy_tuning import proxy_tuning
from engine.decoding.sampling import Sampling, warp
from engine.method import Names


def test_linear_by_hand():
    base = torch.tensor([[1.0, 2.0], [0.0, -4.0]])
    expert = torch.tensor([[3.0, 2.0], [1.0, 0.0]])
    found = combine(Mixture(("base", "a"), (-0.5, 1.5)), [base, expert])
    assert torch.equal(found, torch.tensor([[4.0, 2.0], [1.5, 2.0]]))
    assert torch.equal(base, torch.tensor([[1.0, 2.0], [0.0, -4.0]]))


def test_one_model_of_weight_one_is_not_copied():
    logits = torch.randn(2, 5)
    assert combine(Mixture(("a",), (1.0,)), [logits]) is logits
    assert combine(Mixture(("a",), (1.0,), "forward_kl"), [logits]) is logits
    assert torch.equal(combine(Mixture(("a",), (2.0,)), [logits]), 2 * logits)


def test_forward_kl_by_hand():
    # p = (1/2, 1/2) and q = (1/4, 3/4), half each: 1 / (0.5/p + 0.5/q)
    p, q = torch.log(torch.tensor([[0.5, 0.5], [0.25, 0.75]]))
    found = combine(Mixture(("a", "b"), (0.5, 0.5), "forward_kl"), [p[None] + 3.0, q[None]])
    assert torch.allclose(found.exp(), torch.tensor([[1 / 3, 0.6]]), atol=1e-6)


@pytest.mark.parametrize("weights", [(0.2, 0.3, 0.5), (0.01, 0.98, 0.01), (0.9, 0.05, 0.05)])
def test_forward_kl_is_the_formula(weights):
    logits = torch.randn(3, 4, 50, generator=torch.Generator().manual_seed(1)) * 6
    wide = logits.double().numpy()
    log_p = wide - np.log(np.exp(wide).sum(-1, keepdims=True))
    want = -np.log(sum(w * np.exp(-each) for w, each in zip(weights, log_p, strict=True)))
    found = combine(Mixture(("a", "b", "c"), weights, "forward_kl"), list(logits))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), want, atol=1e-5)


def test_forward_kl_takes_impossible_tokens():
    one = torch.tensor([[0.0, -torch.inf]])
    two = torch.tensor([[0.0, 0.0]])
    found = combine(Mixture(("a", "b"), (0.5, 0.5), "forward_kl"), [one, two])
    assert found[0, 1] == -torch.inf and found[0, 0].isfinite()


def test_mix_adds_up_and_drops():
    assert mix([("a", 0.5), ("b", 0.25), ("a", 0.5)]) == Mixture(("a", "b"), (1.0, 0.25))
    assert mix([("a", 1.0), ("b", 0.0)]) == Mixture(("a",), (1.0,))
    # 1 − 0.1 − 0.2 − 0.7 leaves −3e-17 in doubles
    rest = mix([("base", 1.0), ("a", 1.0), *(("base", -c) for c in (0.1, 0.2, 0.7))])
    assert rest.models == ("a",)


@pytest.mark.parametrize(
    ("models", "weights", "kind"),
    [
        ((), (), "linear"),
        (("a",), (1.0, 2.0), "linear"),
        (("a", "a"), (1.0, 2.0), "linear"),
        (("a", "b"), (1.0, 0.0), "linear"),
        (("a", "b"), (1.0, 0.0), "nucleus"),
        (("a",), (math.nan,), "linear"),
        (("a", "b"), (1.5, -0.5), "forward_kl"),
    ],
)
def test_impossible_mixtures_are_refused(models, weights, kind):
    with pytest.raises(ValueError):
        Mixture(models, weights, kind)


def test_every_model_brings_its_logits():
    with pytest.raises(ValueError, match="2 logits"):
        combine(Mixture(("a",), (1.0,)), [torch.zeros(1, 2), torch.zeros(1, 2)])


def test_proxy_tuning_reference(golden):
    data = golden("proxy_tuning_combine")
    base, expert, anti = (
        torch.tensor(data[name])[..., :97]
        for name in ("base_logits", "expert_logits", "antiexpert_logits")
    )
    for row, (alpha, temperature, top_p) in enumerate(data["settings"].tolist()):
        mixture = proxy_tuning({"expert": alpha}, Names(("expert",), has_target=True))
        logits = {"target": base, "expert": expert, "base": anti}
        found = combine(mixture, [logits[name] for name in mixture.models])
        warped = warp(found.view(18, 97), Sampling(temperature, top_p)).view(3, 6, 97)
        want = torch.tensor(data["out_logits"][row])
        assert torch.equal(warped.isfinite(), want.isfinite())
        shown = want.isfinite()
        assert torch.allclose(warped[shown], want[shown], atol=1e-5, rtol=0)
        assert torch.equal(warped.argmax(-1), torch.tensor(data["out_token_ids"][row]))


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jsd"])
@pytest.mark.parametrize("weights", ["0.2_0.3_0.5", "1.0_0.0_0.0", "0.0_0.6_0.4"])
def test_multi_objective_decoding_reference(golden, kind, weights):
    data = golden("mod_f_value")
    log_p = torch.tensor(data["logp"])
    terms = [(str(i), float(w)) for i, w in enumerate(weights.split("_"))]
    mixture = mix(terms, "forward_kl" if kind == "forward_kl" else "linear")
    found = combine(mixture, [log_p[int(name)] for name in mixture.models])
    assert torch.allclose(found, torch.tensor(data[f"{kind}__{weights}"]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("power", [0.3, 0.7])
@pytest.mark.parametrize("weights", ["0.2_0.3_0.5", "1.0_0.0_0.0", "0.0_0.6_0.4"])
def test_alpha_divergence_reference(golden, power, weights):
    """The published code leaves out a factor of 1 / alpha, which changes no most likely token."""
    data = golden("mod_f_value")
    log_p = torch.tensor(data["logp"])
    terms = [(str(i), float(w)) for i, w in enumerate(weights.split("_"))]
    mixture = mix(terms, "alpha", alpha=power)
    found = combine(mixture, [log_p[int(name)] for name in mixture.models])
    want = torch.tensor(data[f"{power}-divergence__{weights}"])
    assert torch.allclose(power * found, want, atol=1e-5, rtol=0)


def test_alpha_lies_between_the_geometric_and_the_harmonic_mean():
    logits = [each.clone() for each in torch.randn(2, 5, 30) * 3]
    log_p = [each.log_softmax(-1) for each in logits]
    geometric = combine(mix([("a", 0.4), ("b", 0.6)]), log_p)
    harmonic = combine(mix([("a", 0.4), ("b", 0.6)], "forward_kl"), log_p)
    near = combine(mix([("a", 0.4), ("b", 0.6)], "alpha", alpha=1e-3), log_p)
    same = combine(mix([("a", 0.4), ("b", 0.6)], "alpha", alpha=1.0), log_p)
    assert torch.allclose(near, geometric, atol=0.05)
    assert torch.equal(same, harmonic)
    alone = combine(Mixture(("a",), (1.0,), "alpha", (("alpha", 0.3),)), logits[:1])
    assert alone is logits[0]


def test_ids_beyond_the_vocabulary_are_ruled_out():
    logits = [torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[0.0, 1.0, -9.0]])]
    for kind in ("linear", "forward_kl"):
        found = combine(Mixture(("a", "b"), (0.5, 0.5), kind), [e.clone() for e in logits], 2)
        assert found[0, 2] == -torch.inf and bool(found[0, :2].isfinite().all())


def test_registering_the_methods_needs_no_torch():
    code = (
        "import sys, engine.decoding; from engine.method import METHODS; "
        "assert {'single', 'proxy_tuning', 'logit_fusion'} <= set(METHODS); "
        "assert not {'torch', 'transformers', 'peft'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
