"""The map of a slider: what decoding gives at every value, with one forward a distinct prefix."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch

from engine.decoding import envelope as envelope_module
from engine.decoding import memory as memory_module
from engine.decoding import slider_map as map_module
from engine.decoding.envelope import envelope
from engine.decoding.inputs import Bucket
from engine.decoding.loop import generate
from engine.decoding.sampling import GREEDY, Sampling
from engine.decoding.slider_line import line_of
from engine.decoding.slider_map import Interval, slider_map
from engine.errors import BadInput, Cancelled, ParetoscopeError
from engine.method import METHODS, Names
from engine.recipe import Recipe, resolve

NAMES = Names(("kind", "terse"), has_target=True)
NEAR = 1e-5
END = frozenset(range(2, 5))
WARM = Sampling(temperature=0.8, seed=3)

CASES: list[tuple[str, str, dict[str, float], dict[str, Any], tuple[float, float]]] = [
    ("proxy_tuning", "kind", {"terse": 0.3}, {}, (0.0, 2.0)),
    ("proxy_tuning", "terse", {"kind": -0.5}, {}, (-1.0, 1.0)),
    ("arm_guidance", "kind", {"terse": 0.5}, {"on": "target"}, (0.0, 2.0)),
    ("logit_fusion", "kind", {"base": 0.5, "terse": 0.4}, {}, (0.0, 2.0)),
    ("logit_fusion", "kind", {"base": 3.0, "terse": -0.5}, {"kind": "jsd"}, (-4.5, -3.0)),
    ("dexperts", "kind", {"terse": 0.4}, {"filter_p": 0.8}, (0.0, 2.0)),
    ("dexperts", "kind", {}, {"anti": "target"}, (0.0, 2.0)),
    ("contrastive", "contrast", {}, {}, (0.0, 1.5)),
    ("guidance", "scale", {}, {}, (-1.0, 2.0)),
]


@pytest.fixture
def family(tiny):
    return {name: tiny("llama", seed) for seed, name in enumerate(NAMES.models, 1)}


def composed(family, runs, recipe: Recipe) -> Any:
    mixture = METHODS[recipe.method].build(recipe.coefficients, NAMES, **dict(recipe.parameters))
    return runs(tuple(family[name] for name in mixture.models), mixture, 120, 128)


def mapped(family, runs, case, prompts, sampling=GREEDY, new=8, **options: Any) -> Any:
    method, slider, coefficients, parameters, (low, high) = case
    recipe = resolve(Recipe(method, coefficients, parameters), NAMES)
    line = line_of(recipe, slider, NAMES, low, high)
    model = composed(family, runs, line.recipe)
    return slider_map(
        model, line, prompts, low, high, max_new_tokens=new, end_ids=END, sampling=sampling,
        **options,
    )  # fmt: skip


def decoded(family, runs, case, prompts, value, sampling=GREEDY, new=8, **options: Any) -> Any:
    method, slider, coefficients, parameters, _ = case
    recipe = resolve(Recipe(method, {**coefficients, slider: value}, parameters), NAMES)
    found = generate(
        composed(family, runs, recipe), prompts, max_new_tokens=new, end_ids=END,
        sampling=sampling, **options,
    )  # fmt: skip
    return [each.token_ids for each in found]


def disagreeing(found, texts, value: float) -> tuple[int, int]:
    """How many prompts have another text than the map says, and how many were compared."""
    wrong = compared = 0
    for intervals, text in zip(found, texts, strict=True):
        inside = [each for each in intervals if each.low + NEAR < value < each.high - NEAR]
        compared += len(inside)
        wrong += sum(each.token_ids != text for each in inside)
    return wrong, compared


def check_tiles(intervals: Sequence[Interval], low: float, high: float) -> None:
    assert intervals[0].low == low and intervals[-1].high == high
    assert all(each.low < each.high for each in intervals)
    for one, two in pairwise(intervals):
        assert one.high == two.low and one.token_ids != two.token_ids


@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_it_is_what_decoding_gives(family, runs, prompts, case, sampling):
    low, high = case[-1]
    values = random.Random(f"{case}{sampling}")
    found = mapped(family, runs, case, prompts[:4], sampling)
    for each in found:
        check_tiles(each, low, high)
    assert sum(map(len, found)) > 8
    compared = 0
    for _ in range(12):  # 216 values in all
        value = values.uniform(low, high)
        texts = decoded(family, runs, case, prompts[:4], value, sampling)
        wrong, many = disagreeing(found, texts, value)
        assert wrong == 0
        compared += many
    assert compared >= 44


@pytest.mark.parametrize("rows", [2, 1024])
def test_it_tells_how_much_is_known(family, runs, prompts, rows):
    """What is handed back to be read anew counts once."""
    heard: list[tuple[float, int]] = []
    options = {"rows": rows, "told": lambda *said: heard.append(said)}
    found = mapped(family, runs, CASES[0], prompts[:3], **options)
    parts = [part for part, _ in heard]
    assert parts == sorted(parts) and 0.0 < parts[0] < 0.5
    assert parts[-1] == pytest.approx(1.0) and heard[-1][1] >= sum(map(len, found))


def test_a_fault_in_the_envelope_is_seen(family, runs, prompts, monkeypatch):
    """The line that is on top between two others is left out."""
    case = CASES[0]
    right = mapped(family, runs, case, prompts[:4])
    monkeypatch.setattr(envelope_module, "ABOVE", 1.0)
    found = mapped(family, runs, case, prompts[:4])
    assert sum(map(len, found)) < sum(map(len, right))
    middles = [(i.low + i.high) / 2 for each in right for i in each if i.high - i.low > 1e-4]
    wrong = 0
    for value in middles:
        texts = decoded(family, runs, case, prompts[:4], value)
        wrong += disagreeing(found, texts, value)[0]
    assert wrong > 0


def test_the_envelope_is_the_maximum_of_lines():
    source = torch.Generator().manual_seed(1)
    b, d = (torch.randn(20, 300, generator=source, dtype=torch.float64) for _ in range(2))
    low = torch.linspace(-3.0, 0.0, 20, dtype=torch.float64)
    pieces = envelope(b, d, low, low + 3.0)
    assert max(map(len, pieces)) > 4
    for row, parts in enumerate(pieces):
        assert parts[0][1] == low[row] and parts[-1][2] == low[row] + 3.0
        for token, start, end in parts:
            for x in torch.linspace(start, end, 7, dtype=torch.float64)[1:-1]:
                assert (b[row] + x * d[row]).argmax() == token
        assert all(one[2] == two[1] for one, two in pairwise(parts))


@pytest.mark.parametrize(
    ("b", "d", "want"),
    [
        # three lines through one point: the middle one is on top nowhere else
        ([0.0, 0.0, 0.0], [0.0, 1.0, 2.0], [(0, -1.0, 0.0), (2, 0.0, 1.0)]),
        # they meet at an end of the range
        ([1.0, 0.0], [0.0, 1.0], [(0, -1.0, 1.0)]),
        ([-1.0, 0.0], [0.0, 1.0], [(1, -1.0, 1.0)]),
        # equal lines: the lowest id; parallel ones: the upper
        ([5.0, 1.0, 1.0], [-torch.inf, 0.5, 0.5], [(1, -1.0, 1.0)]),
        ([0.0, 1.0, 0.5], [1.0, 1.0, 1.0], [(1, -1.0, 1.0)]),
        # ruled out
        ([-torch.inf, 0.0, 0.0], [0.0, -1.0, 1.0], [(1, -1.0, 0.0), (2, 0.0, 1.0)]),
    ],
)
def test_no_piece_has_no_width(b, d, want):
    lines = torch.tensor([b, d], dtype=torch.float64)
    lines[1][lines[1].isinf()] = 0.0
    lines[0][torch.tensor(d).isinf()] = -torch.inf
    ends = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    assert envelope(lines[:1], lines[1:], *ends) == [want]


def test_each_prefix_is_fed_once(family, runs, prompts, monkeypatch):
    fed: list[int] = []
    run = map_module.Batch.feed_apart

    def counted(batch, ids, keep=1):
        fed.append(len(ids))
        return run(batch, ids, keep)

    monkeypatch.setattr(map_module.Batch, "feed_apart", counted)
    found = mapped(family, runs, CASES[0], prompts[:4])
    prefixes = {
        (n, each.token_ids[:length])
        for n, intervals in enumerate(found)
        for each in intervals
        for length in range(1, min(len(each.token_ids) + 1, 8))
    }
    assert sum(fed) == len(prefixes) and len(fed) == 7


def test_a_map_does_not_depend_on_its_batches(family, runs, prompts, monkeypatch):
    want = mapped(family, runs, CASES[0], prompts[:4])
    apart = mapped(family, runs, CASES[0], prompts[:4], rows=3)
    monkeypatch.setattr(map_module, "VALUES", 1)
    monkeypatch.setattr(memory_module, "CACHE_BYTES", 1 << 16)
    for other in (apart, mapped(family, runs, CASES[0], prompts[:4])):
        for one, two in zip(want, other, strict=True):
            assert [each.token_ids for each in one] == [each.token_ids for each in two]
            ends = zip(one, two, strict=True)
            assert all(abs(a.high - b.high) < NEAR for a, b in ends)
    assert Bucket(3).fit(8) == 3


def test_stops_and_models_with_prompts_of_their_own(family, runs, prompts):
    case, some = CASES[0], prompts[:3]
    own = {1: [ids[:1] for ids in some]}

    def stopped(index: int, written: list[int]) -> bool:
        return written[-1] % 5 == 0

    plain = mapped(family, runs, case, some)
    found = mapped(family, runs, case, some, own=own, stopped=stopped)
    assert found != plain
    assert any(len(each.token_ids) < 8 for intervals in found for each in intervals)
    for value in (0.111, 0.77, 1.31, 1.93):
        texts = decoded(family, runs, case, some, value, own=own, stopped=stopped)
        assert disagreeing(found, texts, value)[0] == 0


def test_it_ends_at_a_tick(family, runs, prompts):
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 9:
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        mapped(family, runs, CASES[0], prompts[:2], tick=tick)
    assert ticks == 9


@pytest.mark.parametrize(
    ("recipe", "slider", "ends", "match"),
    [
        (Recipe("task_arithmetic", {"kind": 1.0}), "kind", (0, 1), "merges weights"),
        (Recipe("single", {}, {"model": "base"}), "kind", (0, 1), "has no sliders"),
        (Recipe("proxy_tuning", {"kind": 1.0}), "kint", (0, 1), "kind"),
        (Recipe("contrastive", {}), "kind", (0, 1), "contrast"),
        (Recipe("proxy_tuning", {"kind": 1.0}), "kind", (1, 1), "empty"),
        (Recipe("proxy_tuning", {"kind": 1.0}), "kind", (0, float("nan")), "empty"),
        (Recipe("logit_fusion", {"base": 1.0}), "kind", (-2, 2), "sum is 0 where kind is -1"),
        (
            Recipe("logit_fusion", {"base": 1.0}, {"kind": "forward_kl"}),
            "kind", (0, 1), "not affine in kind: it combines by forward_kl",
        ),
        (
            Recipe("logit_fusion", {"base": 1.0}, {"kind": "alpha"}),
            "kind", (0.5, 1), "it combines by alpha",
        ),
        (Recipe("dynamic_fusion", {"terse": 1.0}), "kind", (0, 1), "it combines by dynamic"),
        (Recipe("gated", {"terse": 1.0}), "threshold", (0, 1), "not affine in threshold"),
        (Recipe("gated", {"threshold": 1.0}), "kind", (0, 1), "it combines by gated"),
    ],
)  # fmt: skip
def test_what_has_no_lines_is_refused(recipe, slider, ends, match):
    with pytest.raises(BadInput, match=match):
        line_of(resolve(recipe, NAMES), slider, NAMES, *ends)


@pytest.mark.parametrize("sampling", [Sampling(1.0, top_p=0.9), Sampling(1.0, top_k=5)])
def test_top_p_and_top_k_are_refused(family, runs, prompts, sampling):
    with pytest.raises(BadInput, match="depend on the slider itself"):
        mapped(family, runs, CASES[0], prompts[:1], sampling)


def test_a_weight_that_bends_is_refused(monkeypatch):
    method = METHODS["proxy_tuning"]

    def bent(coefficients, names):
        return method.build({k: v * v for k, v in coefficients.items()}, names)

    monkeypatch.setitem(METHODS, "proxy_tuning", type(method)(**{**vars(method), "build": bent}))
    recipe = resolve(Recipe("proxy_tuning", {"kind": 1.0}), NAMES)
    with pytest.raises(BadInput, match="its weights bend"):
        line_of(recipe, "kind", NAMES, 0.0, 2.0)


def test_dead_weights_are_refused(tiny, family, runs, prompts):
    dead = tiny("llama", 9)
    for each in dead.parameters():
        each.zero_()
    with pytest.raises(ParetoscopeError, match="many tokens share"):
        mapped(dict.fromkeys(family, dead), runs, CASES[2], prompts[:1])
