"""What a job is given of scores that were begun: a race's points on their first rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cache.blobs import Blobs
from cache.rows import score_id
from engine.scoring import parts
from engine.scoring.begun import Begun, adds
from engine.scoring.registry import find_scorer
from engine.study import Objective


class Beginnings:
    """By point and objective.

    Args:
        given: point id -> objective -> the row of its first rows (`engine.scoring.parts`).
        whole: objective -> fingerprint of all of it.
    """

    def __init__(
        self,
        blobs: Blobs,
        given: Mapping[str, Mapping[str, Any]],
        whole: Mapping[str, str],
        split: str,
        numerics: str,
    ) -> None:
        self._blobs, self._given, self._whole = blobs, given, whole
        self._split, self._numerics = split, numerics

    def of(self, point: str, objectives: Iterable[Objective]) -> dict[str, Begun]:
        """Objective -> what is known of its first rows; none that was measured otherwise, and none
        whose texts are gone."""
        found = {}
        for each in objectives:
            row = self._given.get(point, {}).get(each.name)
            if row is None or not adds(find_scorer(each.scorer)) or row["mean"] is None:
                continue
            of = parts.fingerprints(self._whole, {each.name: row["n"]})[each.name]
            if row["id"] != score_id(point, of, self._split, self._numerics):
                continue
            texts = self._blobs.get_text(row["texts"]) if row["texts"] else None
            if texts is not None:
                found[each.name] = Begun(
                    tuple(row["values"]), tuple(json.loads(texts)), row["tokens"], row["seconds"]
                )
        return found
