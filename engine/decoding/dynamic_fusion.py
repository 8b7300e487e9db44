"""Dynamic logit fusion: how strongly experts steer a larger target is chosen at every token.

    l = t + Σ α_i (e_i − b)         t = b where the family has no target

    paper      c_i ≠ 0 says who takes part; per token one expert steers, with the strength that
               moves the target's distribution as far as the experts move the base's
    directed   the direction is w = c ÷ Σ c, the strength chosen by the same rule for the one
               expert softmax(b + Σ w_i (e_i − b)); equal to the paper's for one expert

arXiv 2406.15480, Algorithm 1, with its minimum reset at every token; `directed` is defined here.
Of several experts the algorithm's objective sees the mean divergence alone: it finds a strength,
hardly a direction, which the sliders give.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from engine.decoding.fusion import NOTHING, Mixture
from engine.errors import bad
from engine.method import Corners, Names, method
from engine.parameter import Limits, Says


def check_grid(coefficients: Mapping[str, float], parameters: Mapping[str, Any]) -> None:
    """Refuses a direction without a sum, and more candidates than anybody can want."""
    step, most = parameters["step"], parameters["max"]
    if most / step > CANDIDATES:
        raise bad(
            "parameter step",
            f"{step:g} makes {most / step:.0f} candidates up to {most:g}",
            f"At most {CANDIDATES}: use a larger step.",
        )
    given = [value for value in coefficients.values() if value]
    if parameters["mode"] == "directed" and given and abs(math.fsum(given)) <= NOTHING:
        raise bad("coefficients", "their sum is 0, which is no direction", "Change one of them.")


CANDIDATES = 1000


@method(
    space="logit",
    summary="Steers the target like proxy_tuning, with a strength chosen anew at every token.",
    slider="This expert's part in the direction of steering (mode paper: whether it takes part, "
    "that is, is not 0); how far is chosen token by token.",
    source="arXiv 2406.15480",
    mark="triangle-ne",
    corners=Corners(zero="target"),
    default_range=(0.0, 1.0),
    check=check_grid,
)
def dynamic_fusion(
    coefficients: Mapping[str, float],
    names: Names,
    *,
    mode: Annotated[
        Literal["paper", "directed"],
        Says(
            "What the sliders say.",
            paper="who takes part: at each token one of them steers",
            directed="the direction, as proportions; not in the paper",
        ),
    ] = "paper",
    step: Annotated[
        float, Limits(0.001, 1.0), Says("Distance between the strengths that are tried.")
    ] = 0.1,
    max: Annotated[float, Limits(0.0, 10.0), Says("The largest strength that is tried.")] = 2.0,
) -> Mixture:
    """Zeros give the target; otherwise it, the base if that is another model, and the experts."""
    chosen = [(name, coefficients.get(name, 0.0)) for name in names.experts]
    chosen = [(name, value) for name, value in chosen if value]
    if not chosen:
        return Mixture((names.steered,), (1.0,))
    total = math.fsum(value for _, value in chosen) if mode == "directed" else 1.0
    weights = [value / total if mode == "directed" else 1.0 for _, value in chosen]
    front = [("target", 1.0), ("base", -1.0)] if names.has_target else [("base", 1.0)]
    options = {
        "directed": float(mode == "directed"), "target": float(names.has_target), "step": step,
        "max": max,
    }  # fmt: skip
    return Mixture(
        (*(name for name, _ in front), *(name for name, _ in chosen)),
        (*(value for _, value in front), *weights),
        "dynamic",
        tuple(options.items()),
    )
