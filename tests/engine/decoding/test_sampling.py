from __future__ import annotations

import math

import pytest
import torch
from transformers import (
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from engine.decoding.sampling import Sampling, choose, gumbel, row_keys, warp


def test_argmax_takes_the_lowest_id_among_equals():
    keys = row_keys(0, [0, 1])
    for size in (7, 257, 70_001):
        logits = torch.zeros(2, size)
        logits[:, [size // 3, size // 2, size - 1]] = 1.0
        assert choose(logits, Sampling(), keys, 0).tolist() == [size // 3] * 2
        assert choose(logits[:, :2], Sampling(), keys, 0).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(0.7, 0, 1.0), (1.0, 5, 1.0), (1.3, 0, 0.8), (0.9, 20, 0.6), (2.0, 500, 0.999), (1.0, 0, 0.0)],
)
def test_warpers_are_those_of_transformers(temperature, top_k, top_p):
    logits = torch.randn(6, 97, generator=torch.Generator().manual_seed(3)) * 4
    want = TemperatureLogitsWarper(temperature)(None, logits.clone())
    if top_k:
        want = TopKLogitsWarper(top_k)(None, want)
    if top_p < 1.0:
        want = TopPLogitsWarper(top_p)(None, want)
    assert torch.equal(warp(logits, Sampling(temperature, top_p, top_k)), want)


@pytest.mark.parametrize("temperature", [1e-29, 1e-31, 3.5e-52, 5e-324])
def test_next_to_no_temperature_is_greedy(temperature):
    """Logits divided by it would be infinite, and none of them the largest."""
    logits = torch.randn(6, 97, generator=torch.Generator().manual_seed(3)) * 4
    keys = row_keys(0, range(6))
    for top_k, top_p in ((0, 1.0), (5, 1.0), (0, 0.5)):
        found = choose(logits, Sampling(temperature, top_p, top_k), keys, 0)
        assert torch.equal(found, logits.argmax(-1))


def test_top_p_of_nothing_leaves_the_lowest_best_id():
    logits = torch.tensor([[0.0, 2.0, 2.0]])
    kept = warp(logits, Sampling(1.0, top_p=0.0)).isfinite()
    assert kept.tolist() == [[False, True, False]]


def test_noise_belongs_to_seed_prompt_position_and_token():
    noise = gumbel(row_keys(4, [9, 2, 7]), 5, 40)
    alone = gumbel(row_keys(4, [2]), 5, 60)
    assert torch.equal(noise[1:2], alone[:, :40])
    for other in (
        gumbel(row_keys(5, [2]), 5, 60),
        gumbel(row_keys(4, [3]), 5, 60),
        gumbel(row_keys(4, [2]), 6, 60),
    ):
        assert not (other == alone).any()


def test_noise_is_gumbel():
    noise = gumbel(row_keys(0, range(64)), 0, 4096).double()
    assert noise.isfinite().all()
    assert abs(noise.mean().item() - 0.5772) < 0.01
    assert abs(noise.std().item() - math.pi / math.sqrt(6)) < 0.01


def test_samples_follow_the_distribution():
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    keys = row_keys(1, range(2000))
    drawn = torch.cat(
        [choose(logits.expand(2000, 4), Sampling(1.0), keys, place) for place in range(10)]
    )
    share = torch.bincount(drawn, minlength=4) / len(drawn)
    # 20,000 draws: a standard error is at most 0.0036
    assert torch.allclose(share, logits.softmax(-1), atol=0.015)


def test_a_single_candidate_is_always_drawn():
    logits = torch.full((256, 30), -torch.inf)
    logits[:, 17] = -50.0
    keys = row_keys(0, range(256))
    for place in range(20):
        assert (choose(logits, Sampling(0.5), keys, place) == 17).all()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"temperature": -1.0}, "temperature: expected 0 or more, got -1"),
        ({"top_p": 1.5}, "top_p: expected a share from 0 to 1, got 1.5"),
        ({"top_k": -1}, "top_k: expected 0 or more, got -1"),
    ],
)
def test_impossible_sampling_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        Sampling(**wrong)
