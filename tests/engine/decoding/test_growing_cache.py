from __future__ import annotations

import pytest
import torch
from transformers import GPT2Config, MistralConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from engine.decoding.growing_cache import SPARE, GrowingLayer, growing_cache
from engine.decoding.state import taken


def states(columns: int, seed: int, rows: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    keys, values = torch.randn(2, rows, 2, columns, 4, generator=source)
    return keys, values


def same(one: DynamicLayer, two: DynamicLayer) -> bool:
    return torch.equal(one.keys, two.keys) and torch.equal(one.values, two.values)


def test_it_holds_what_the_dynamic_layer_holds():
    ours, theirs = GrowingLayer(), DynamicLayer()
    rows = 3
    for step, columns in enumerate((5, 1, 1, SPARE, 1, 3 * SPARE, 1)):
        for layer in (ours, theirs):
            found = layer.update(*states(columns, step, rows))
            assert found[0] is layer.keys and found[1] is layer.values
        assert same(ours, theirs)
        assert ours.get_mask_sizes(2) == theirs.get_mask_sizes(2)
        if step == 2:
            for layer in (ours, theirs):
                layer.batch_select_indices(torch.tensor([2, 0]))
            rows = 2
            assert same(ours, theirs)
        if step == 4:
            for layer in (ours, theirs):
                layer.crop(-7)
            assert same(ours, theirs)
    for layer in (ours, theirs):
        layer.batch_repeat_interleave(2)
        layer.reorder_cache(torch.tensor([3, 1, 1]))
    assert same(ours, theirs)
    with pytest.raises(ValueError):
        ours.crop(1)


def test_a_column_is_written_in_place():
    layer = GrowingLayer()
    layer.update(*states(5, 0))
    place = layer.keys.data_ptr()
    for step in range(SPARE):
        layer.update(*states(1, step))
    assert layer.keys.data_ptr() == place
    layer.update(*states(1, 0))
    assert layer.keys.data_ptr() != place


def test_a_branch_leaves_its_origin_alone():
    cache = growing_cache(GPT2Config(n_layer=2))
    for layer in range(2):
        cache.update(*states(5, layer), layer)
    before = [layer.keys.clone() for layer in cache.layers]
    branch = taken(cache, torch.tensor([1, 1]), 3)
    for layer in range(2):
        branch.update(*states(4, 9, rows=2), layer)
    assert [layer.get_seq_length() for layer in branch.layers] == [9, 9]
    assert all(
        torch.equal(layer.keys, keys) for layer, keys in zip(cache.layers, before, strict=True)
    )
    cache.update(*states(4, 8), 0)
    assert torch.equal(branch.layers[0].keys[:, :, 5:], states(4, 9, rows=2)[0])


def test_sliding_windows_stay_as_transformers_has_them():
    cache = growing_cache(MistralConfig(num_hidden_layers=2, sliding_window=8))
    assert all(type(layer) is DynamicSlidingWindowLayer for layer in cache.layers)
