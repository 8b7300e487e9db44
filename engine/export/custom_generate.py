"""Decode with several models fused, in plain transformers.

Shipped as custom_generate/generate.py of an exported folder:

    model.generate(**inputs, custom_generate="FOLDER", trust_remote_code=True,
                   models={"base": base, "helpful": helpful})

`model` is the one that SETTINGS["model"] names; `models` gives the others, loaded models by name.
Rows are left-padded. Logits are combined in float32, cut to the rows that all models have, masked
beyond the tokenizer's ids, then warped and picked.
"""

from typing import Any

import torch

SETTINGS: dict[str, Any] = {}


def combine(logits: list[torch.Tensor], weights: list[float], kind: str) -> torch.Tensor:
    """Fused logits, float32, from one tensor [batch, rows] a model."""
    if kind == "forward_kl":
        scaled = [
            -torch.log_softmax(each, -1) + torch.log(torch.tensor(weight))
            for each, weight in zip(logits, weights, strict=True)
        ]
        return -torch.logsumexp(torch.stack(scaled), 0)
    fused = logits[0] * weights[0]
    for each, weight in zip(logits[1:], weights[1:], strict=True):
        fused = fused + each * weight
    return fused


def pick(
    logits: torch.Tensor,
    temperature: float,
    top_k: int,
    top_p: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """One id a row: greedy at temperature 0, else sampled after temperature, top-k and top-p."""
    if not temperature:
        return logits.argmax(-1)
    logits = logits / temperature
    if top_k:
        floor = logits.topk(min(top_k, logits.shape[-1]), -1).values[:, -1:]
        logits = logits.masked_fill(logits < floor, -torch.inf)
    if top_p < 1.0:
        ordered, order = logits.sort(-1)
        drop = ordered.softmax(-1).cumsum(-1) <= 1 - top_p
        drop[:, -1] = False
        logits = logits.masked_fill(drop.scatter(-1, order, drop), -torch.inf)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]


@torch.inference_mode()
def generate(
    model: Any,
    inputs: torch.Tensor | None = None,
    input_ids: torch.Tensor | None = None,
    attention_mask: torch.Tensor | None = None,
    models: dict[str, Any] | None = None,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    **_: Any,
) -> torch.Tensor:
    """Token ids [batch, prompt + new], padded with the first end token behind an end."""
    names, weights = SETTINGS["models"], SETTINGS["weights"]
    others = models or {}
    missing = [name for name in names if name != SETTINGS["model"] and name not in others]
    if missing:
        raise ValueError(f"give models= with {', '.join(missing)}: loaded models by name")
    runners = [model if name == SETTINGS["model"] else others[name] for name in names]
    ids = input_ids if input_ids is not None else inputs
    if ids is None:
        raise ValueError("give input_ids")
    mask = torch.ones_like(ids) if attention_mask is None else attention_mask
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    generator = torch.Generator(ids.device).manual_seed(seed)
    ends = torch.tensor(SETTINGS["end_ids"], dtype=torch.long, device=ids.device)
    padding = SETTINGS["end_ids"][0] if SETTINGS["end_ids"] else 0
    done = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    caches: list[Any] = [None] * len(runners)
    feed = ids
    for _step in range(max_new_tokens):
        rows = []
        for index, each in enumerate(runners):
            out = each(
                input_ids=feed,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=caches[index],
                use_cache=True,
                logits_to_keep=1,
            )
            caches[index] = out.past_key_values
            rows.append(out.logits[:, -1, : SETTINGS["rows"]].float())
        fused = combine(rows, weights, SETTINGS["kind"])
        fused[:, SETTINGS["vocabulary"] :] = -torch.inf
        chosen = pick(fused, temperature, top_k, top_p, generator)
        chosen = torch.where(done, padding, chosen)
        ids = torch.cat([ids, chosen[:, None]], -1)
        mask = torch.cat([mask, torch.ones_like(chosen[:, None])], -1)
        positions, feed = positions[:, -1:] + 1, chosen[:, None]
        done |= torch.isin(chosen, ends)
        if bool(done.all()):
            break
    return ids
