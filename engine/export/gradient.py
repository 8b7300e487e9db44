"""Coefficients by depth as mergekit's YAML says them: a gradient over the layers, and filters.

mergekit 0.1.5 evaluates a gradient of m values at layer l of L at the place l / (L − 1) · (m − 1)
in the list, between neighbours linearly, and at place 0 for everything outside the layers, the
output projection among it. A list of one value a layer therefore says any steps; one of fewer
values would ramp between them. What lies outside the layers and not in the first band is named by
filters, which mergekit looks for anywhere in a tensor's name: where such a name occurs in that of a
tensor of another band, nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.bands import band_at
from engine.family.compatibility import Family
from engine.family.depth import layer_of


def interpolated(values: Sequence[float], place: float) -> float:
    """mergekit's value of a gradient; place: 0 for the first layer, 1 for the last."""
    scaled = place * (len(values) - 1)
    first = int(scaled)
    second = min(len(values) - 1, first + 1)
    return (1 - (scaled - first)) * values[first] + (scaled - first) * values[second]


def gradient(bands: Sequence[float], family: Family) -> Any | None:
    """The mergekit setting that is bands[b − 1] on the tensors of band b; None if there is none."""
    if len(set(bands)) == 1:
        return bands[0]
    depth, groups = family.depth, len(bands)
    said = family.base.setting("num_hidden_layers") or family.base.setting("n_layer")
    if isinstance(said, int) and said != depth.layers:
        return None  # mergekit would spread the list over another number of layers
    layers = depth.layers
    values = [bands[band_at(each, layers, groups) - 1] for each in range(layers)]
    for layer, value in enumerate(values):
        if not math.isclose(interpolated(values, layer / (layers - 1)), value, abs_tol=1e-12):
            return None
    outside = [name for name in family.tensors if name in depth.inputs or layer_of(name) is None]
    apart = [name for name in outside if depth.band(name, groups) != 1]
    for name in apart:
        band = depth.band(name, groups)
        if any(name in other and depth.band(other, groups) != band for other in family.tensors):
            return None
    filters = [{"filter": each, "value": bands[depth.band(each, groups) - 1]} for each in apart]
    return [*filters, {"value": values}] if filters else values
