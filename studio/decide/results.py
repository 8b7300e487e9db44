"""Results by row, from the store to the front under noise.

objective ──► its kind, and a name of the rows it is measured on
store     ──► Results of any points, read when they are asked for
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cache.store import Store
from engine.front.noise import Kind, Places, Results
from engine.scoring.registry import find_scorer
from engine.study import Objective


def kind_of(objective: Objective) -> Kind:
    """How values of an objective become its score."""
    scorer = find_scorer(objective.scorer)
    if scorer.exact and objective.data is None:
        return "exact"
    return "mean" if scorer.mean == "calibration" else scorer.mean


def rows_of(objective: Objective) -> str:
    """A name of an objective's rows: the same for objectives that are measured on the same ones."""
    each = objective
    if each.members:
        own = list(dict.fromkeys(map(rows_of, each.members)))
        return own[0] if len(own) == 1 else repr(own)
    return repr((each.data, each.reading, each.limit, each.report_fraction, each.report_data))


def loader(
    store: Store,
    objectives: Sequence[Objective],
    fingerprints: Mapping[str, str],
    numerics: str,
    ids: Sequence[str],
    mean: np.ndarray,
    error: np.ndarray,
) -> Callable[[Places], list[Results]]:
    """Reads the explore split's results of some of the points.

    Args:
        fingerprints: objective -> its fingerprint now.
        ids: of the n points.
        mean, error: float64 [n, objectives]; of `engine.front.noise.errors`.
    """

    def load(places: Places) -> list[Results]:
        points, found = [ids[place] for place in places.tolist()], []
        for column, each in enumerate(objectives):
            kind, values = kind_of(each), np.empty((len(points), 0))
            if kind != "exact":
                values = store.examples(fingerprints[each.name], "explore", numerics, points)
            own = mean[places, column], error[places, column]
            found.append(Results(kind, *own, values, rows_of(each)))
        return found

    return load
