"""What the job "geometry" measured, as numbers and heat maps. Pure; no widget, no torch.

A row of the journal becomes a `Geometry`, and that becomes

    relative norms   ‖τ‖ ÷ ‖θ0‖, [experts, groups]
    cosines          of every two task vectors, [experts, experts]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from studio.workbench import Workbench

ALL = "all tensors"
WIDE = 30
"""Columns up to which numbers on cells can be read at 1280 pixels; beyond, groups are rows."""

NORMS = (
    "How far each expert moved each part of the base: the length of its task vector there, as a "
    "percentage of the length of the base's own weights."
)
COSINES = (
    "Near 0: two experts changed the base in unrelated directions, and adding one hardly "
    "disturbs the other. Near 1: they made the same change, so both at full strength overshoot "
    "it. Below 0: each undoes part of the other. This is about weights; the measured points show "
    "what it means for an objective."
)


@dataclass(frozen=True)
class Geometry:
    """Norms and inner products of a family's task vectors.

    Attributes:
        groups: embedding, layers, other, head.
        base: float64 [groups], ‖θ0‖².
        products: float64 [groups, experts, experts], ⟨τ_i, τ_j⟩.
    """

    experts: tuple[str, ...]
    groups: tuple[str, ...]
    base: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Geometry:
        """From a row as the job emits it."""
        return cls(
            tuple(row["experts"]),
            tuple(row["groups"]),
            np.array(row["base"], dtype=float),
            np.array(row["products"], dtype=float),
        )

    def ordered(self, experts: tuple[str, ...]) -> Geometry:
        """The same with the experts in this order."""
        places = [self.experts.index(name) for name in experts]
        return Geometry(experts, self.groups, self.base, self.products[:, places][:, :, places])

    @property
    def columns(self) -> tuple[str, ...]:
        return (ALL, *self.groups)

    def relative_norms(self) -> np.ndarray:
        """float64 [experts, 1 + groups]: ‖τ‖ ÷ ‖θ0‖ of all tensors, then of each group; NaN if
        the base is zero."""
        squares = np.diagonal(self.products, axis1=1, axis2=2).T
        squares = np.column_stack([squares.sum(axis=1), squares])
        base = np.array([self.base.sum(), *self.base])
        return np.sqrt(np.divide(squares, base, out=np.full_like(squares, np.nan), where=base > 0))

    def cosines(self, group: str = ALL) -> np.ndarray:
        """float64 [experts, experts]; NaN if an expert left the group alone."""
        found = self.products.sum(axis=0) if group == ALL else self.products[self._at(group)]
        length = np.sqrt(np.diagonal(found))
        scale = np.outer(length, length)
        return np.divide(found, scale, out=np.full_like(found, np.nan), where=scale > 0)

    def _at(self, group: str) -> int:
        return self.groups.index(group)


_FOUND: WeakKeyDictionary[Workbench, tuple[int, Geometry | None]] = WeakKeyDictionary()


def geometry_of(bench: Workbench) -> Geometry | None:
    """The geometry of a bench's family, measured by any process; queries the store only when rows
    came."""
    if bench.known is None:
        return None
    version, found = _FOUND.get(bench, (-1, None))
    if found is None and version != bench.store.version:
        rows = bench.store.records("geometry", bench.known.family)
        if rows and set(rows[-1]["experts"]) == set(bench.names.experts):
            found = Geometry.of(rows[-1]).ordered(bench.names.experts)
        _FOUND[bench] = (bench.store.version, found)
    return found


def _short(group: str) -> str:
    return group.removeprefix("layer ")


def _text(value: float, digits: int) -> str:
    return "–" if not np.isfinite(value) else f"{value:.{digits}f}"


def _percent(value: float) -> str:
    """A share in percent, with two digits that count."""
    if not np.isfinite(value):
        return "–"
    return f"{100 * value:.0f}" if value >= 0.0995 else f"{100 * value:.2g}"


def _heat(
    x: list[str], y: list[str], values: np.ndarray, texts: list[list[str]], colours: dict[str, Any]
) -> dict[str, Any]:
    cells = [[float(v) if np.isfinite(v) else None for v in row] for row in values]
    return {
        "type": "heatmap", "x": x, "y": y, "z": cells, "text": texts, "texttemplate": "%{text}",
        "xgap": 1, "ygap": 1, "hovertemplate": "%{y}, %{x}: %{text}<extra></extra>",
        "hoverongaps": False, **colours,
    }  # fmt: skip


TOOLBAR = 34
"""Pixels above the cells: the toolbar lies there, over nothing that is drawn."""


def _layout(height: int, left: int, bottom: str) -> dict[str, Any]:
    return {
        "height": height + TOOLBAR,
        "margin": {"l": left, "r": 10, "t": TOOLBAR, "b": 55},
        "xaxis": {"title": {"text": bottom}, "type": "category", "side": "bottom"},
        "yaxis": {"type": "category", "autorange": "reversed"},
    }


def _axis(groups: tuple[str, ...]) -> str:
    """What the columns are, in words."""
    words = [each for each in ("embedding", "layers by number", "other", "head")
             if each in groups or each.startswith("layers")]  # fmt: skip
    return ", ".join([ALL, *words])


def norms_figure(geometry: Geometry) -> dict[str, Any]:
    """The heat map of relative norms in percent: a row an expert, or with many layers a column."""
    values = geometry.relative_norms()
    texts = [[_percent(value) for value in row] for row in values]
    experts, columns = list(geometry.experts), [_short(each) for each in geometry.columns]
    wide = len(columns) > WIDE
    if wide:
        values, texts = values.T, [list(each) for each in zip(*texts, strict=True)]
    x, y = (experts, columns) if wide else (columns, experts)
    finite = values[np.isfinite(values)]
    colours = {
        "colorscale": "Cividis", "zmin": 0.0, "zmax": float(finite.max()) if finite.size else 1.0,
        "colorbar": {"title": {"text": "‖τ‖ ÷ ‖θ0‖"}, "tickformat": ".0%"},
    }  # fmt: skip
    longest = max(map(len, y))
    return {
        "data": [_heat(x, y, values, texts, colours)],
        "layout": _layout(
            90 + (22 if wide else 42) * len(y),
            20 + 8 * longest,
            "expert" if wide else _axis(geometry.groups),
        ),
    }


def cosines_figure(geometry: Geometry, group: str = ALL) -> dict[str, Any]:
    """The heat map of cosines between the experts' task vectors."""
    values = geometry.cosines(group)
    texts = [[_text(value, 2) for value in row] for row in values]
    experts = list(geometry.experts)
    colours = {
        "colorscale": "PuOr", "zmin": -1.0, "zmax": 1.0, "colorbar": {"title": {"text": "cosine"}},
    }  # fmt: skip
    layout = _layout(110 + 48 * len(experts), 20 + 8 * max(map(len, experts)), "")
    return {"data": [_heat(experts, experts, values, texts, colours)], "layout": layout}


def norms_table(geometry: Geometry) -> list[dict[str, Any]]:
    """The norms as rows: a group each, in percent."""
    values = geometry.relative_norms()
    return [
        {"part": column, **{
            f"{name} %": None if not np.isfinite(values[row, at]) else 100 * float(values[row, at])
            for row, name in enumerate(geometry.experts)
        }}
        for at, column in enumerate(geometry.columns)
    ]  # fmt: skip


def cosines_table(geometry: Geometry, group: str = ALL) -> list[dict[str, Any]]:
    """The cosines as rows: an expert each."""
    values = geometry.cosines(group)
    return [
        {"expert": name, **{
            other: None if not np.isfinite(value) else float(value)
            for other, value in zip(geometry.experts, row, strict=True)
        }}
        for name, row in zip(geometry.experts, values, strict=True)
    ]  # fmt: skip
