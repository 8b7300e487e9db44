"""What is known of a configuration without trying it, and what two classes allow together."""

from __future__ import annotations

import json
import random
from importlib.metadata import version

from engine.decoding.feeding import PLAIN, PLAIN_FILE, Feeding, known
from engine.decoding.horizon import far, rotary_horizon, sparse_horizon
from engine.decoding.survey import DENSE, HANGS_ON, plain
from engine.decoding.trial import tried

LONGROPE = {"rope_type": "longrope", "original_max_position_embeddings": 4096}


def test_plain_attention_is_known_by_its_configuration():
    assert known({"model_type": "llama"}) == PLAIN
    assert known({"model_type": "qwen2", "sliding_window": 32768}) == PLAIN
    assert known({"model_type": "llama", "rope_scaling": {"type": "linear"}}) == PLAIN
    mixed = {"layer_types": ["full_attention", "sliding_attention"], "model_type": "gemma3_text"}
    rope = {"full_attention": {"rope_type": "linear"}, "sliding_attention": {"rope_type": "yarn"}}
    assert known({**mixed, "rope_parameters": rope}) == PLAIN


def test_what_a_class_may_do_otherwise_is_tried():
    assert known({"model_type": "jamba"}) is None
    assert known({"model_type": "falcon"}) == PLAIN
    assert known({"model_type": "falcon", "alibi": True}) is None
    assert known({"model_type": "phi3", "rope_scaling": LONGROPE}) is None
    assert known({"model_type": "phi3", "rope_parameters": {"full_attention": LONGROPE}}) is None
    assert known({"model_type": "qwen3", "layer_types": ["linear_attention"]}) is None


def test_the_file_is_of_the_transformers_installed_and_a_sample_of_it_holds():
    document = json.loads(PLAIN_FILE.read_text())
    assert document["transformers"] == version("transformers")
    assert set(document["model_types"]) == set(DENSE)
    for kind in (random.Random(3).choice(DENSE), *HANGS_ON):
        assert plain(kind), kind
    assert not plain("jamba")


def test_two_classes_allow_what_each_of_them_does():
    one = Feeding(rows="equal", chunks=False, argument="cache_params", horizon=64)
    two = Feeding(memory="none", leaves=False, horizon=32)
    both = one & two
    assert (both.rows, both.chunks, both.leaves, both.branches) == ("equal", False, False, True)
    assert (both.memory, both.argument, both.horizon) == ("growing", "cache_params", 32)
    assert Feeding(**one.as_dict()) == one


def test_horizons():
    assert rotary_horizon({"rope_scaling": LONGROPE}) == 4096
    old = {"rope_scaling": {"type": "su"}, "original_max_position_embeddings": 512}
    assert rotary_horizon({"text_config": old}) == 512
    assert rotary_horizon({"rope_parameters": {"rope_type": "dynamic"}}) is None
    assert sparse_horizon({"index_topk": 2048}) == 2048
    assert sparse_horizon({"index_topk_blocks": 16, "index_block_size": 128}) == 2048
    assert sparse_horizon({"index_topk": None, "keep_window_size": False}) is None
    near = {"index_topk": 4, "rope_scaling": LONGROPE}
    assert sparse_horizon(far(near, sparse=False)) == 4
    assert sparse_horizon(far(near, sparse=True)) > 1000
    assert rotary_horizon(far(near, sparse=False)) > 4096


def test_a_sparse_class_that_is_alike_at_any_length_has_no_horizon():
    assert tried({"model_type": "deepseek_v32"}).horizon is None
    assert tried({"model_type": "doge"}).horizon == 2048
