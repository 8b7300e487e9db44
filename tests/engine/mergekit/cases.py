"""The YAMLs whose results mergekit 0.1.5 has given, by name: kind of models, and the document.

published-NAME is NAME.yml of the examples that mergekit publishes (its folder examples/): every
setting as there, the models replaced by tiny ones, and the ranges of 40 layers by those of three.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Case = tuple[str, dict[str, Any]]

GRADIENT = [{"filter": "self_attn", "value": [0, 0.5, 0.3, 1]}, {"filter": "mlp", "value": [1, 0]},
            {"value": 0.5}]  # fmt: skip


def models(*given: tuple[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"model": f"./{name}", "parameters": dict(values)} for name, values in given]


def source(name: str, first: int, stop: int, **values: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"model": f"./{name}", "layer_range": [first, stop]}
    return found | ({"parameters": values} if values else {})


def merge(method: str, *given: tuple[str, Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    return {"merge_method": method, "models": models(*given), **more}


BASED = {"base_model": "./base", "dtype": "float32"}
CASES: dict[str, Case] = {
    "linear": ("llama", merge("linear", ("a", {"weight": 1}), ("b", {"weight": 0.3}))),
    "linear-base": (
        "tied",
        merge("linear", ("a", {"weight": [0.2, 1]}), ("b", {"weight": GRADIENT}), **BASED,
              parameters={"weight": 0.7, "normalize": False}),
    ),
    "linear-moe": ("mixtral", merge("linear", ("a", {"weight": 1}), ("b", {"weight": GRADIENT}))),
    "task_arithmetic": (
        "llama",
        merge("task_arithmetic", ("a", {"weight": 0.6}), ("b", {"weight": [0, 1, 0.5]}), **BASED),
    ),
    "task_arithmetic-moe": (
        "mixtral",
        merge("task_arithmetic", ("a", {"weight": 0.6}), ("c", {"weight": GRADIENT}), **BASED,
              parameters={"lambda": [0.5, 1.5], "normalize": True}),
    ),
    "ties": (
        "tied",
        merge("ties", ("a", {"weight": 1, "density": [1, 0.7, 0.1]}),
              ("b", {"weight": [0, 0.3, 0.7, 1], "density": 0.5}),
              ("c", {"density": 0.33, "weight": [{"filter": "mlp", "value": 0.5}, {"value": 0}]}),
              **BASED, parameters={"normalize": True, "int8_mask": True}),
    ),
    "ties-moe": (
        "mixtral",
        merge("ties", ("a", {"weight": 0.5}), ("b", {"weight": 0.9}), **BASED,
              parameters={"density": 0.4, "lambda": 0.8}),
    ),
    "breadcrumbs": (
        "llama",
        merge("breadcrumbs", ("a", {"weight": 0.5, "gamma": 0.1}), ("b", {"weight": 0.9}), **BASED,
              parameters={"density": GRADIENT}),
    ),
    "breadcrumbs_ties": (
        "tied",
        merge("breadcrumbs_ties", ("a", {"weight": 0.5}), ("b", {"weight": [1, 0.2]}), **BASED,
              parameters={"density": 0.6, "gamma": 0.05, "normalize": True}),
    ),
    "slerp": ("llama", merge("slerp", ("base", {}), ("a", {}), **BASED, parameters={"t": 0.3})),
    "slerp-gradient": (
        "tied",
        {"merge_method": "slerp", **BASED, "parameters": {"t": GRADIENT},
         "slices": [{"sources": [source("base", 0, 3), source("b", 0, 3)]}]},
    ),
    "slerp-moe": ("mixtral", merge("slerp", ("a", {}), **BASED, parameters={"t": [0, 0.6]})),
    "nuslerp": ("llama", merge("nuslerp", ("a", {"weight": 1}), ("b", {"weight": 0.4}))),
    "nuslerp-rows": (
        "mixtral",
        merge("nuslerp", ("a", {"weight": [0, 1]}), ("b", {"weight": 0.4}), **BASED,
              parameters={"nuslerp_flatten": False, "nuslerp_row_wise": True}),
    ),
    "multislerp": (
        "tied",
        merge("multislerp", *((each, {"weight": 1}) for each in "abc"), **BASED),
    ),
    "multislerp-plain": (
        "llama",
        merge("multislerp", ("a", {"weight": 0.2}), ("b", {"weight": [0.5, 1]}),
              ("c", {"weight": 1}), parameters={"normalize_weights": [True, False]}),
    ),
    "karcher": ("llama", merge("karcher", ("a", {}), ("b", {}), ("c", {}))),
    "karcher-steps": (
        "mixtral",
        merge("karcher", ("a", {}), ("b", {}), parameters={"max_iter": 3, "tol": 1e-6}),
    ),
    "sce": ("llama", merge("sce", *((each, {}) for each in "abc"), **BASED)),
    "sce-top": (
        "mixtral",
        merge("sce", *((each, {}) for each in "abc"), **BASED, parameters={"select_topk": 0.5}),
    ),
    "breadcrumbs-moe": (
        "mixtral",
        merge("breadcrumbs", ("a", {"weight": 1}), ("c", {"weight": [0.5, -1]}), **BASED,
              parameters={"density": 0.5, "gamma": 0.2}),
    ),
    "breadcrumbs_ties-moe": (
        "mixtral",
        merge("breadcrumbs_ties", *((each, {"weight": 0.7}) for each in "abc"), **BASED,
              parameters={"density": [{"filter": "experts", "value": 0.3}, {"value": 0.8}]}),
    ),
    "ram-all": ("llama", merge("ram", *((each, {}) for each in "abc"), **BASED)),
    "ramplus_tl-moe": (
        "mixtral",
        merge("ramplus_tl", ("a", {}), ("c", {}), **BASED, parameters={"epsilon": 0.2}),
    ),
    "ram": ("mixtral", merge("ram", ("a", {}), ("b", {}), **BASED, parameters={"epsilon": 0.1})),
    "ramplus_tl": (
        "tied",
        merge("ramplus_tl", *((each, {}) for each in "abc"), **BASED,
              parameters={"epsilon": [0.1, 0.3], "r": 0.5, "alpha": 0.4}),
    ),
    "model_stock": ("llama", merge("model_stock", *((each, {}) for each in "abc"), **BASED)),
    "model_stock-rows": (
        "tied",
        merge("model_stock", ("a", {}), ("b", {}), **BASED, parameters={"filter_wise": True}),
    ),
    "nearswap": ("llama", merge("nearswap", ("a", {}), **BASED, parameters={"t": 0.05})),
    "nearswap-gradient": (
        "tied",
        merge("nearswap", ("b", {}), **BASED, parameters={"t": [0.2, 0.01]}),
    ),
    "arcee_fusion": ("llama", merge("arcee_fusion", ("a", {}), **BASED)),
    "arcee_fusion-moe": ("mixtral", merge("arcee_fusion", ("b", {}), **BASED)),
    "published-arcee_fusion": (
        "llama",
        merge("arcee_fusion", ("a", {}), ("b", {}), base_model="./a", dtype="bfloat16"),
    ),
    "published-bio-merge": (
        "llama",
        merge("ties", *((each, {"density": 0.5, "weight": 0.5}) for each in "ab"),
              base_model="./base", parameters={"normalize": False, "int8_mask": True},
              dtype="float16"),
    ),
    "published-gradient-slerp": (
        "llama",
        {"slices": [{"sources": [source("a", 0, 3), source("b", 0, 3)]}], "merge_method": "slerp",
         "base_model": "./a",
         "parameters": {"t": [
             {"filter": "self_attn", "value": [0, 0.5, 0.3, 0.7, 1]},
             {"filter": "mlp", "value": [1, 0.5, 0.7, 0.3, 0]}, {"value": 0.5}]},
         "dtype": "float16"},
    ),
    "published-linear": (
        "llama",
        merge("linear", ("a", {"weight": 1.0}), ("b", {"weight": 0.3}), ("c", {"weight": 0.5}),
              dtype="float16"),
    ),
    "published-mega": (  # its second document, of what its first, gradient-slerp, has made
        "llama",
        merge("ties", ("a", {"density": [1, 0.7, 0.1], "weight": 1.0}),
              ("b", {"density": 0.33, "weight": [{"filter": "mlp", "value": 0.5}, {"value": 0}]}),
              base_model="./base", parameters={"normalize": True, "int8_mask": True},
              dtype="float16"),
    ),
    "published-orcamini-platy-44layer": (
        "llama",
        {"slices": [{"sources": [source("a", 0, 2)]}, {"sources": [source("b", 1, 3)]}],
         "merge_method": "passthrough", "dtype": "float16"},
    ),
    "published-ties": (
        "llama",
        merge("ties", ("a", {"density": [1, 0.7, 0.1], "weight": 1.0}),
              ("b", {"density": 0.5, "weight": [0, 0.3, 0.7, 1]}),
              ("c", {"density": 0.33, "weight": [{"filter": "mlp", "value": 0.5}, {"value": 0}]}),
              base_model="./base", parameters={"normalize": True, "int8_mask": True},
              dtype="float16"),
    ),
    "passthrough": (
        "llama",
        {"merge_method": "passthrough", "dtype": "float32",
         "slices": [{"sources": [source("a", 0, 2)]}, {"sources": [source("b", 1, 3)]},
                    {"sources": [source("a", 2, 3, scale=0.5)]}]},
    ),
    "passthrough-scaled": (
        "mixtral",
        {"merge_method": "passthrough", "base_model": "./a",
         "slices": [
             {"sources": [source("a", 0, 2, scale=[
                 {"filter": "o_proj", "value": 0}, {"filter": "down_proj", "value": 0},
                 {"value": 1}])]},
             {"sources": [source("a", 1, 2)]},
         ]},
    ),
    "slices-levels": (
        "llama",
        {"merge_method": "linear", "parameters": {"weight": [4, 6]},
         "slices": [
             {"sources": [source("a", 0, 2, weight={"filter": "self_attn", "value": 1}),
                          source("b", 0, 2)],
              "parameters": {"weight": [{"filter": "layers.1.", "value": 3}]}},
             {"sources": [source("b", 2, 3), source("c", 0, 1, weight=2)]},
         ]},
    ),
    "depths-stack": (
        "llama",
        {"merge_method": "passthrough", "dtype": "float32",
         "slices": [{"sources": [source("a", 0, 3)]}, {"sources": [source("deep", 1, 5)]},
                    {"sources": [source("b", 1, 2, scale=0.5)]}]},
    ),
    "depths-deep-first": (
        "tied",
        {"merge_method": "passthrough",
         "slices": [{"sources": [source("deep", 0, 4)]}, {"sources": [source("b", 1, 3)]}]},
    ),
    "depths-linear": (
        "llama",
        {"merge_method": "linear", "dtype": "float32", "parameters": {"weight": [0.2, 0.9]},
         "slices": [
             {"sources": [source("a", 0, 3), source("deep", 2, 5, weight=GRADIENT)]},
             {"sources": [source("deep", 2, 5), source("c", 0, 3, weight=2)]},
         ]},
    ),
    "depths-slerp": (
        "tied",
        {"merge_method": "slerp", "base_model": "./a", "dtype": "float32",
         "parameters": {"t": GRADIENT},
         "slices": [
             {"sources": [source("a", 0, 3), source("deep", 0, 3)]},
             {"sources": [source("a", 1, 3), source("deep", 3, 5)]},
         ]},
    ),
    "depths-moe": (
        "mixtral",
        {"merge_method": "task_arithmetic", **BASED, "parameters": {"weight": [0.5, 1.5]},
         "slices": [
             {"sources": [source("base", 0, 2), source("deep", 2, 4)]},
             {"sources": [source("deep", 1, 3), source("a", 0, 2)], "base_model": "./deep"},
         ]},
    ),
    "slices-base": (
        "tied",
        {"merge_method": "task_arithmetic", **BASED, "parameters": {"weight": [0.5, 1.5]},
         "slices": [
             {"sources": [source("base", 0, 2), source("a", 1, 3)]},
             {"sources": [source("c", 1, 3), source("b", 0, 2)], "base_model": "./c"},
         ]},
    ),
    "bfloat16": (
        "llama",
        merge("task_arithmetic", ("a", {"weight": 0.6}), ("b", {"weight": 0.3}),
              base_model="./base", dtype="bfloat16", out_dtype="float32"),
    ),
    "bfloat16-widened": (
        "tied", merge("ramplus_tl", ("a", {}), ("b", {}), base_model="./base", dtype="bfloat16"),
    ),
    "out-float16": (
        "tied",
        merge("linear", ("a", {"weight": 0.6}), ("b", {"weight": 0.3}), out_dtype="float16"),
    ),
    "tokens-base": (
        "words",
        merge("linear", ("a", {"weight": 0.6}), ("b", {"weight": 0.3}), **BASED,
              parameters={"weight": 1}, tokenizer_source="base"),
    ),
    "tokens-model": (
        "words",
        merge("task_arithmetic", ("a", {"weight": 0.6}), ("b", {"weight": 0.3}), **BASED,
              tokenizer_source="./b"),
    ),
    "tokens-union": (
        "words",
        merge("task_arithmetic", ("a", {"weight": 0.6}), ("b", {"weight": 0.3}), **BASED,
              tokenizer_source="union"),
    ),
    "tokens-union-plain": (
        "words",
        merge("linear", ("b", {"weight": 0.6}), ("a", {"weight": 0.3}), tokenizer_source="union"),
    ),
    "tokens-average": (
        "words",
        merge("linear", ("a", {"weight": 1}), ("b", {"weight": 1}), tokenizer={"source": "./a"}),
    ),
}  # fmt: skip
"""Random masks are left out: the two draw others."""
