"""How these vectors were made: mergekit's own functions on small inputs, numbers only.

Run with mergekit 0.1.5 and torch 2.13.0 (CPU) installed: `python make.py`. inputs.npz holds the
inputs and the random numbers that take the place of torch's, NAME.npz the outputs of a method, and
cases.json what was given to each: the inputs' name, how many models, parameters; `type` of the
output, or `refused` where mergekit raised. No test runs this.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mergekit.merge_methods.api import merge_tensors
from mergekit.merge_methods.base import BasePolicy
from mergekit.merge_methods.registry import registered_methods

HERE = Path(__file__).parent
MODELS = 3
THINNED = ("ties", "dare_linear", "dare_ties", "breadcrumbs", "breadcrumbs_ties")

rng = np.random.default_rng(20261128)


def normal(*shape: int, scale: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(rng.normal(0, scale, shape).astype(np.float32))


def near(base: torch.Tensor, scale: float = 0.1) -> list[torch.Tensor]:
    return [base + normal(*base.shape, scale=scale) for _ in range(MODELS)]


def sets() -> dict[str, list[torch.Tensor]]:
    """Name -> base and models."""
    matrix, vector, cube, row, column = (
        normal(*shape) for shape in ((6, 8), (7,), (3, 4, 5), (1, 6), (5, 1))
    )
    some = near(matrix)
    steps = (normal(12, 16) * 2).round() / 4
    short = normal(20, 24).bfloat16()
    half = normal(6, 8).half()
    return {
        "matrix": [matrix, *some],
        "close": [matrix, *near(matrix, 1e-4)],
        "far": [matrix, *(normal(6, 8) for _ in range(MODELS))],
        "one_is_base": [matrix, some[0], matrix, some[2]],
        "all_are_base": [matrix] * (MODELS + 1),
        "zeros": [torch.zeros(4, 5)] * (MODELS + 1),
        "zero_base": [torch.zeros(6, 8), *some],
        "parallel": [matrix, matrix * 2, matrix * 0.5, matrix * 3],
        "opposite": [matrix, -matrix, matrix * 2, matrix + 0.1],
        "vector": [vector, *near(vector)],
        "scalar": [normal(), *(normal() for _ in range(MODELS))],
        "row": [row, *near(row)],
        "column": [column, *near(column)],
        "cube": [cube, *near(cube)],
        "equal_sizes": [steps, *(steps + (normal(12, 16) * 2).round() / 8 for _ in range(MODELS))],
        "bfloat16": [short, *((short + normal(20, 24, scale=0.05)).bfloat16() for _ in range(3))],
        "float16": [half, *((half + normal(6, 8, scale=0.05)).half() for _ in range(3))],
    }


def asked(name: str) -> list[tuple[int, dict[str, Any], dict[str, Any]]]:
    """How many models, parameters of each (cut to those), shared parameters."""
    weights = {"weight": [0.3, 0.5, 0.4]}
    signed = {"weight": [1.0, -0.6, 0.7]}
    if name == "linear":
        return [(3, weights, {}), (3, signed, {"normalize": False}), (1, weights, {})]
    if name == "task_arithmetic":
        return [
            (3, weights, {}),
            (3, signed, {"normalize": True, "lambda": 0.8}),
            (1, weights, {}),
            (0, {}, {}),
        ]
    if name in THINNED:
        dense = {"density": [0.5, 0.2, 0.7]}
        gamma = {"gamma": [0.1, 0.0, 0.4]} if name.startswith("breadcrumbs") else {}
        return [
            (3, weights | dense | gamma, {}),
            (3, signed | dense, {"normalize": False, "rescale": True, "lambda": 1.2}),
            (3, signed | {"density": [0.01, 1.0, 0.3]}, {"normalize": True, "rescale": False}),
            (1, weights | dense, {}),
        ]
    if name in ("della", "della_linear"):
        dense = {"density": [0.5, 0.4, 0.7]}
        return [
            (3, weights | dense, {}),
            (3, signed | dense | {"epsilon": [0.1, 0.2, 0.25]}, {"rescale": False}),
            (1, weights | dense, {"normalize": False}),
        ]
    if name == "slerp":
        return [(1, {}, {"t": t}) for t in (0.0, 0.3, 1.0)]
    if name == "nuslerp":
        shared = [{}, {"nuslerp_flatten": False}]
        shared.append({"nuslerp_flatten": False, "nuslerp_row_wise": True})
        return [*((2, weights, each) for each in shared), (2, {"weight": [0.5, -0.5]}, {})]
    if name == "multislerp":
        return [(3, weights, {}), (2, signed, {"normalize_weights": False}), (1, weights, {})]
    if name == "karcher":
        return [(3, {}, {}), (2, {}, {"max_iter": 3, "tol": 1e-3}), (1, {}, {})]
    if name == "sce":
        return [
            (3, {}, {}),
            (3, {}, {"select_topk": 0.3}),
            (1, {}, {}),
            (2, {}, {"select_topk": 0.01}),
        ]
    if name == "model_stock":
        return [(3, {}, {}), (2, {}, {"filter_wise": True})]
    if name == "nearswap":
        return [(1, {}, {"t": t}) for t in (0.0, 0.01, 0.5)]
    if name == "arcee_fusion":
        return [(1, {}, {})]
    if name == "passthrough":
        return [(1, {}, {}), (1, {"scale": [0.5]}, {})]
    if name == "ram":
        return [(3, {}, {}), (2, {}, {"epsilon": 0.05})]
    if name == "ramplus_tl":
        return [(3, {}, {}), (3, {}, {"epsilon": 0.05, "r": 0.3, "alpha": 1.5})]
    raise ValueError(name)


def drawn(lots: list[torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """In place of `torch.bernoulli`: by numbers from outside; likewise no chance may be NaN."""

    def bernoulli(chances: torch.Tensor) -> torch.Tensor:
        if chances.isnan().any():
            raise ValueError("a chance is NaN")
        return (lots.pop(0).view(chances.shape) < chances).to(chances.dtype)

    return bernoulli


def main() -> None:
    inputs = sets()
    lots = {
        name: [torch.from_numpy(rng.random(x[0].shape, dtype=np.float32)) for _ in range(MODELS)]
        for name, x in inputs.items()
    }
    stored = {
        f"{name}/{i}": each.float().numpy()
        for name, x in inputs.items()
        for i, each in enumerate(x)
    }
    stored |= {
        f"{name}/lots/{i}": each.numpy() for name, x in lots.items() for i, each in enumerate(x)
    }
    np.savez_compressed(HERE / "inputs.npz", **stored)
    cases = []
    for method in registered_methods():
        spec, outputs = method.spec, {}
        for name, tensors in inputs.items():
            for count, each, shared in asked(spec.name):
                each = {key: value[:count] for key, value in each.items()}
                policy = spec.contract.base
                for has_base in {
                    BasePolicy.REQUIRED: [True], BasePolicy.OPTIONAL: [True, False],
                }.get(policy, [False]):  # fmt: skip
                    used = tensors[1 : 1 + count]
                    dense = each.get("density", [1.0] * count)
                    queue = [x for x, d in zip(lots[name][:count], dense, strict=True) if d < 1]
                    torch.bernoulli = drawn(queue)
                    case = {
                        "method": spec.name, "inputs": name, "dtype": str(tensors[0].dtype)[6:],
                        "base": has_base, "models": count, "each": each, "shared": shared,
                    }  # fmt: skip
                    try:
                        out = merge_tensors(
                            [*([tensors[0]] if has_base else []), *used], spec.name,
                            parameters=shared | each, base_index=0 if has_base else None,
                        )  # fmt: skip
                    except (ValueError, IndexError) as error:
                        case["refused"] = str(error).split("\n")[0][:80]
                    else:
                        case["output"] = str(len(outputs))
                        case["type"] = str(out.dtype)[6:]
                        outputs[case["output"]] = out.float().numpy()
                    cases.append(case)
        np.savez_compressed(HERE / f"{spec.name}.npz", **outputs)
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "cases.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
