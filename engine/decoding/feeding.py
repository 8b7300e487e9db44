"""How a model class has to be fed, so that every logit is the one that a row gets on its own.

    rows       mixed     rows of different lengths share a batch, the shorter padded on the left
               equal     only rows of one length do: a recurrence reads padding, a mask is not asked
               alone     every row is a batch
    memory     growing   transformers' cache for the class, its plain attention layers ours
               own       what the module makes and hands back, whatever that is
               none      nothing: the whole text is read again at every step
    chunks     columns may be fed several at a time to a memory that holds some already
    leaves     finished rows may leave the batch
    branches   a batch may go on from copies of its rows

What holds for a class is tried (`engine.decoding.trial`), not assumed. For plain dense classes it
was tried when this version was made, and `plain.json` says for which; everything is allowed there.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Rows = Literal["mixed", "equal", "alone"]
Remembers = Literal["growing", "own", "none"]
Masked = Literal["always", "first"]

_ROWS: tuple[Rows, ...] = ("alone", "equal", "mixed")
PLAIN_FILE = Path(__file__).with_name("plain.json")


@dataclass(frozen=True)
class Feeding:
    """What a class allows; see the top of this file.

    Attributes:
        argument: the forward's name for its memory.
        positions: `position_ids` are given.
        masked: padding is masked at every call, or at the first alone, as a recurrence that has
            read the prompt needs no mask any more.
        ready_mask: one boolean mask [rows, 1, 1, columns] serves every layer at a single step.
        attends: its cache holds only keys and values, as many as its configuration says.
        horizon: longest text, in tokens, that is read like any other; a longer one runs alone and
            is re-read at every step (`engine.decoding.horizon`). None: no limit.
    """

    rows: Rows = "mixed"
    memory: Remembers = "growing"
    argument: str = "past_key_values"
    chunks: bool = True
    leaves: bool = True
    branches: bool = True
    positions: bool = True
    masked: Masked = "always"
    ready_mask: bool = True
    attends: bool = True
    horizon: int | None = None

    def __and__(self, other: Feeding) -> Feeding:
        """What two modules allow that read the same batch; `memory` and the like are this
        one's, for each module goes by its own."""
        horizons = [each for each in (self.horizon, other.horizon) if each is not None]
        return Feeding(
            rows=min(self.rows, other.rows, key=_ROWS.index),
            memory=self.memory,
            argument=self.argument,
            chunks=self.chunks and other.chunks,
            leaves=self.leaves and other.leaves,
            branches=self.branches and other.branches,
            positions=self.positions,
            masked=self.masked,
            ready_mask=self.ready_mask,
            attends=self.attends,
            horizon=min(horizons, default=None),
        )

    def as_dict(self) -> dict[str, Any]:
        """For a file; `Feeding(**document)` restores it."""
        return asdict(self)


PLAIN = Feeding()
"""Attention alone, with nothing in the way."""


@functools.cache
def _plain() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(PLAIN_FILE.read_text(encoding="utf-8"))
    return found


def known(config: Mapping[str, Any]) -> Feeding | None:
    """What was found for a configuration's class when this version was built; None: not covered.

    Args:
        config: config.json as it is, or a configuration's `to_dict`.
    """
    types = _plain()["model_types"]
    if config.get("model_type") not in types or config.get("quantization_config"):
        return None
    covered = types[config["model_type"]]
    for key, values in covered.items():
        if config.get(key) is not None and config[key] not in values:
            return None
    kinds = config.get("layer_types") or ()
    if not set(kinds) <= set(_plain()["layer_types"]):
        return None
    return PLAIN if _rope_kinds(config) <= set(_plain()["rope_types"]) else None


def _rope_kinds(config: Mapping[str, Any]) -> set[str]:
    """Kinds of rotary scaling that a configuration asks for, at the top or a kind of layer."""
    found: set[str] = set()
    for key in ("rope_scaling", "rope_parameters"):
        value = config.get(key)
        if isinstance(value, Mapping):
            nested = [each for each in value.values() if isinstance(each, Mapping)]
            for each in nested or [value]:
                found.add(str(each.get("rope_type") or each.get("type") or "default"))
    return found
