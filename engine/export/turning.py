"""Rows that are padded on the right, for models that write on at a row's last column.

Imports torch alone: an exported decoding folder ships this text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

Given = dict[str, Any]


def turned(given: Given) -> Given:
    """The arguments with the padding of each row on its left; as they are where it already is.

    Raises:
        ValueError: positions are given, which say where each token stands now.
    """
    ids, mask = given.get("input_ids"), given.get("attention_mask")
    if ids is None or mask is None or mask.shape != ids.shape or bool((mask[:, -1] != 0).all()):
        return given
    if given.get("position_ids") is not None:
        raise ValueError("position_ids: rows are padded on the right; leave them out")
    order = (mask != 0).int().argsort(dim=-1, stable=True)
    return given | {"input_ids": ids.gather(1, order), "attention_mask": mask.gather(1, order)}


def turned_back(sequences: Tensor, given: Given) -> Tensor:
    """What was generated, int64 [rows × sequences a row, columns], behind the rows as given."""
    ids = given["input_ids"]
    rows = ids.repeat_interleave(len(sequences) // len(ids), 0).to(sequences.device)
    return torch.cat([rows, sequences[:, ids.shape[1] :]], 1)


def check_rows(
    feeding: Mapping[str, Mapping[str, Any]], mask: Tensor | None, rows: int, longest: int
) -> None:
    """Raise for what a model would not read row by row as it reads a row alone."""
    for name, each in feeding.items():
        if each["horizon"] is not None and longest > each["horizon"]:
            raise ValueError(
                f"max_new_tokens, max_length: {name} reads texts longer than {each['horizon']} "
                f"tokens differently; {longest} were requested"
            )
    kinds = {name: each["rows"] for name, each in feeding.items()}
    alone = [name for name, each in kinds.items() if each == "alone"]
    if rows > 1 and alone:
        raise ValueError(f"input_ids: {', '.join(alone)} can only run one row at a time")
    if mask is None:
        return
    reading = [name for name, each in kinds.items() if each != "mixed"]
    if reading and bool((mask == 0).any()):
        raise ValueError(
            f"attention_mask: {', '.join(reading)} would read the padding; use rows of one length"
        )
