"""Prompts of a model's own, beside the `input_ids` that the others read.

Imports torch alone: an exported decoding folder ships this text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from engine.family.speaking import Messages, spoken

Read = dict[str, tuple[Tensor, Tensor]]
"""Pass -> its prompts and their mask, int64 [rows, columns], padded on the left."""


def given_prompts(prompts: Mapping[str, Any] | None, passes: Sequence[str], rows: int) -> Read:
    """The prompts of the passes that read their own.

    Raises:
        ValueError: one is missing or strange, has other rows, or is padded on the right.
    """
    prompts = prompts or {}
    missing = [name for name in passes if name not in prompts]
    if missing:
        raise ValueError(
            f"prompts: {'; '.join(missing)} read words of their own; pass asked=[…] and tokenizer, "
            "or the input_ids and attention_mask of each by name"
        )
    strange = [name for name in prompts if name not in passes]
    if strange:
        raise ValueError(f"prompts: unknown {', '.join(strange)}; known: {', '.join(passes)}")
    found = {}
    for name in passes:
        ids = prompts[name]["input_ids"]
        mask = prompts[name].get("attention_mask")
        mask = torch.ones_like(ids) if mask is None else mask
        if len(ids) != rows:
            raise ValueError(f"prompts: {len(ids)} rows of {name}, but {rows} of input_ids")
        if bool((mask[:, -1] == 0).any()):
            raise ValueError(f"prompts: {name} is padded on the right; pad it on the left")
        found[name] = (ids, mask)
    return found


def asked_prompts(
    tokenizer: Any,
    asked: Sequence[str | Messages],
    words: Mapping[str, Mapping[str, Any]],
    opening: Sequence[int],
    variables: Mapping[str, Any],
    device: Any,
) -> dict[str, dict[str, Tensor]]:
    """Pass -> input_ids and attention_mask of texts or conversations, in the words of each; the
    empty name stands for the passes that all read the same.

    Args:
        words: pass -> template (None: the tokenizer's), system, prefix, alone.
        opening: ids in front of a text.
        variables: what the templates may look at beside the messages.
    """

    def ids_of(each: str | Messages, own: Mapping[str, Any]) -> list[int]:
        if isinstance(each, str):
            ids = tokenizer(own["prefix"] + each, add_special_tokens=False)["input_ids"]
            return ids if ids[: len(opening)] == list(opening) else [*opening, *ids]
        text = tokenizer.apply_chat_template(
            spoken(each, own["system"], own["alone"]),
            chat_template=own["template"],
            add_generation_prompt=True,
            tokenize=False,
            **variables,
        )
        found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    made = {}
    for name, own in words.items():
        rows = [ids_of(each, own) for each in asked]
        width = max(map(len, rows))
        pads = [width - len(each) for each in rows]
        ids = [[0] * pad + each for pad, each in zip(pads, rows, strict=True)]
        mask = [[0] * pad + [1] * (width - pad) for pad in pads]
        made[name] = {
            "input_ids": torch.tensor(ids, device=device),
            "attention_mask": torch.tensor(mask, device=device),
        }
    return made


def inputs_of(
    given: dict[str, Any],
    settings: Mapping[str, Any],
    prompts: Mapping[str, Any] | None,
    asked: Sequence[str | Messages] | None,
    variables: Mapping[str, Any] | None,
    device: Any,
) -> tuple[dict[str, Any], Read, int]:
    """The arguments of `generate`, what passes read instead of its ids, and how wide these are.

    Raises:
        ValueError: an argument that does not go with the others; it is named.
    """
    own = [name for name in settings["words"] if name]
    if asked is not None:
        if given.get("tokenizer") is None or given.get("input_ids") is not None or not asked:
            raise ValueError("asked: pass one text or more, and tokenizer, without input_ids")
        words, opening = settings["words"], settings["opening"]
        made = asked_prompts(given["tokenizer"], asked, words, opening, variables or {}, device)
        given, prompts = given | made.pop(""), made
    if own and given.get("position_ids") is not None:
        raise ValueError("position_ids: models read prompts of their own; leave them out")
    ids = given.get("input_ids") if given.get("inputs") is None else given["inputs"]
    rows, width = (0, 0) if ids is None else ids.shape
    return given, given_prompts(prompts, own, rows), width
