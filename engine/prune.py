"""What a recipe says of an edit after the merge: which weights are zeroed, by whose rows.

    prune: {objective: harm, ratio: 0.1, variant: activation}

The rows are those of one of the study's objectives, its explored ones alone. Which rows they were
becomes part of the recipe once it is resolved (`rows`), so that another data file is another point.
Nothing here imports torch; `engine.pruning` does what is said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from engine.errors import bad, unknown
from engine.parameter import is_number

VARIANTS: dict[str, str] = {
    "activation": "|w| times the norm of what the weight reads; its share of every output row goes",
    "gradient": "|w| times the gradient of the targets' loss; its share of every matrix goes",
}
"""Score -> what it computes, in one sentence."""

KEYS = ("objective", "ratio", "variant", "rows")

PUBLISHED = 0.1
"""The ratio of the published runs."""


class Rows(Protocol):
    """The objectives of a study that name rows."""

    @property
    def names(self) -> tuple[str, ...]:
        """Objectives whose rows a model can read."""

    def digest(self, objective: str, variant: str) -> str:
        """12 hex digits over all that is read of an objective's rows; raises `BadInput`."""


@dataclass(frozen=True)
class Prune:
    """Zero the share `ratio` of the weights with the largest scores on an objective's rows.

    Attributes:
        ratio: between 0 and 1, both excluded; 0 is no pruning, and then a recipe has none.
        rows: digest of what is read; "" in a recipe that is not resolved.
    """

    objective: str
    ratio: float
    variant: str = "activation"
    rows: str = ""

    def as_dict(self) -> dict[str, Any]:
        said = {"objective": self.objective, "ratio": self.ratio, "variant": self.variant}
        return {**said, "rows": self.rows} if self.rows else said

    def __str__(self) -> str:
        by = "" if self.variant == "activation" else f" by {self.variant}"
        return f"pruned {self.ratio:g} on {self.objective}{by}"


def prune_from_dict(data: Any, where: str) -> Prune | None:
    """What the key `prune` of a recipe holds; None for no pruning. Raises `BadInput`."""
    if data is None:
        return None
    where = f"{where}: prune"
    if not isinstance(data, Mapping):
        raise bad(
            where, f"expected a mapping, got {data!r}", "Write {objective: name, ratio: 0.1}."
        )
    for key in data:
        if key not in KEYS:
            raise unknown(where, "key", str(key), KEYS)
    for key in ("objective", "ratio"):
        if data.get(key) is None:
            what = f"the key {key!r} is missing"
            raise bad(where, what, "Give the objective to forget and a ratio.")
    values = {
        key: data[key] for key in ("objective", "variant", "rows") if data.get(key) is not None
    }
    for key, value in values.items():
        if not isinstance(value, str):
            raise bad(f"{where}: {key}", f"expected a name, got {value!r}")
    ratio = data["ratio"]
    if not is_number(ratio) or not 0 <= ratio < 1:
        what = f"expected a number from 0 to below 1, got {ratio!r}"
        raise bad(f"{where}: ratio", what, "Write it as 0.1.")
    return Prune(ratio=float(ratio) + 0.0, **values)


def resolved(
    prune: Prune, method: str, merges: bool, rows: Rows | None, where: str
) -> Prune | None:
    """The canonical form: the digest filled in; None where the ratio is 0.

    Args:
        merges: whether the method makes one model out of weights.
        rows: of the study; None where there is none.

    Raises:
        BadInput: the method does not merge, the variant or the objective is not known or names no
            rows, or the rows are other ones than those that the recipe was made on.
    """
    where = f"{where}: prune"
    if not merges:
        what = f"{method} runs models as they are, and only merged weights are pruned"
        fix = "Use a method that merges; one model alone is task_arithmetic with one coefficient 1."
        raise bad(where, what, fix)
    if prune.variant not in VARIANTS:
        raise unknown(f"{where}: variant", "variant", prune.variant, VARIANTS)
    if rows is None:
        what = "it needs the rows of a study's objective, and there is no study here"
        raise bad(where, what, "Leave it out, or export the recipe from a study.")
    if prune.objective not in rows.names:
        raise unknown(f"{where}: objective", "objective with rows", prune.objective, rows.names)
    digest = rows.digest(prune.objective, prune.variant)
    if prune.rows not in ("", digest):
        what = (
            f"the rows of {prune.objective} have changed since, or what they reach: they were "
            f"{prune.rows} and are {digest}"
        )
        raise bad(f"{where}: rows", what, "Leave out `rows` to prune on the rows as they are now.")
    if not prune.ratio:
        return None
    return Prune(prune.objective, prune.ratio, prune.variant, digest)
