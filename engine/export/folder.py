"""Writes the folder that decodes a mixture of several models, and decodes with it.

The folder is trusted only for what it has been seen to do: the code that was written generates from
probe prompts with the models that are loaded, alone and in batches, and every logit that it picked
a token by is compared with the live mixture's, which reads each text again and without padding.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.compose import Composer
from engine.composed import ComposedModel
from engine.decoding.fed import feeding_of, unwrapped
from engine.decoding.feeding import Feeding
from engine.decoding.fusion import Mixture, combine
from engine.decoding.inputs import Own, Prompts, rows_of
from engine.decoding.lazy import decided
from engine.decoding.loop import Generation, generate
from engine.export.card import Papers, hub_id, usage, write_papers
from engine.export.checkpoint import copy_side_files
from engine.export.decoding_code import generate_code
from engine.export.directory import new_directory
from engine.export.plan import GENERATE, leading, reads_own_words
from engine.export.verify import NOTHING_KEPT, NotWhatWasScored, rounding
from engine.family.dated import uses_date
from engine.family.text import Text

LENGTHS = (3, 17, 8)
"""Tokens of the probe prompts."""

STEPS = 8
"""Tokens that are generated from each."""

RUNS_ALL = (
    "Here every model runs at every token: texts are those that were scored, the models that rest "
    "where they are not needed do so in Paretoscope alone."
)

Writer = Callable[..., Any]


def settings_of(composer: Composer, model: ComposedModel, mixture: Mixture) -> dict[str, Any]:
    """What the folder's code has to know of the mixture."""
    from engine.export import custom_generate  # imports all that transformers generates with

    first = leading(mixture.models)
    named = dict(zip(mixture.models, model.modules, strict=True))
    feeding = {name: asdict(feeding_of(each)) for name, each in named.items()}
    own = unwrapped(named[first]).generation_config
    return {
        "model": first,
        "models": list(dict.fromkeys(mixture.models)),
        "passes": dict(zip(mixture.labels, mixture.models, strict=True)),
        "weights": list(mixture.weights),
        "kind": mixture.kind,
        "options": dict(mixture.options),
        "rows": model.rows,
        "vocabulary": min(composer.text.size, model.rows or composer.text.size),
        "end_ids": sorted(composer.text.end_ids),
        "own_end_ids": custom_generate.ends_of(own),
        "feeding": {
            name: {key: each[key] for key in ("rows", "memory", "horizon")}
            for name, each in feeding.items()
        },
        "words": {
            name: _words(text) for name, text in {"": model.text, **_own(mixture, model)}.items()
        },
        "opening": list(composer.text.opening),
        "hub_ids": {name: hub_id(composer.family.spec.path_of(name)) for name in mixture.models},
    }


def _words(text: Text) -> dict[str, Any]:
    """What a pass reads around a prompt; a template that writes the date as it was scored."""
    found = text.words.as_dict() | {"alone": text.words.alone}
    if found["template"] is None and uses_date(text.files.chat_template):
        found["template"] = text.tokenizer.get_chat_template()
    return found


def _own(mixture: Mixture, model: ComposedModel) -> dict[str, Text]:
    """Passes that read other words than the rest, by their labels."""
    return {mixture.labels[place]: text for place, text in model.own.items()}


def write_folder(
    composer: Composer, model: ComposedModel, papers: Papers, out: Path
) -> tuple[list[str], float]:
    """Write the folder and verify it; returns its files and the largest difference of a logit.

    Raises:
        NotWhatWasScored: it does not decode, or not as the live mixture does.
    """
    mixture = model.mixture
    assert mixture is not None
    settings = settings_of(composer, model, mixture)
    first = settings["model"]
    others = [name for name in settings["models"] if name != first]
    note = usage(first, others, out.name, asked=reads_own_words(composer.family, mixture))
    notes = (*papers.notes, note, RUNS_ALL) if mixture.rests else (*papers.notes, note)
    mine = replace(papers, kind="decoding", notes=notes)
    with new_directory(out) as partial:
        (partial / GENERATE).parent.mkdir()
        (partial / GENERATE).write_text(generate_code(settings), encoding="utf-8")
        (partial / "recipe.yaml").write_text(papers.recipe.to_yaml(), encoding="utf-8")
        names = [GENERATE, "recipe.yaml"]
        names += copy_side_files(composer.family, partial)
        found = verify_folder(composer, model, partial, out)
        names += write_papers(mine, partial, out.name)
    return names, found


def _prompts(composer: Composer, model: ComposedModel) -> tuple[list[list[int]], Own]:
    """Probe prompts, and what passes read instead of them."""
    generator = torch.Generator().manual_seed(1)
    size = min(composer.text.size, composer.family.rows)

    def some(more: int) -> list[list[int]]:
        lengths = [n + more for n in LENGTHS]
        return [torch.randint(0, size, (n,), generator=generator).tolist() for n in lengths]

    return some(0), {place: some(1 + place) for place in model.own}


def _batches(feeding: Feeding, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Which prompts run together: each alone, and all at once where the classes allow it."""
    alone = [[index] for index in range(len(prompts))]
    return [*alone, list(range(len(prompts)))] if feeding.rows == "mixed" else alone


def verify_folder(composer: Composer, model: ComposedModel, partial: Path, out: Path) -> float:
    """Decode with what was written and compare; returns the largest difference of a logit.

    Raises:
        NotWhatWasScored: it raises, picks another token, or a logit is beyond rounding.
    """
    written = runpy.run_path(str(partial / GENERATE))
    read = written["SETTINGS"]
    mixture = model.mixture
    assert mixture is not None
    named = dict(zip(mixture.models, model.modules, strict=True))
    prompts, own = _prompts(composer, model)
    feeding = feeding_of(model.modules[0])
    for module in model.modules[1:]:
        feeding = feeding & feeding_of(module)
    ours = generate(model, prompts, max_new_tokens=STEPS, end_ids=composer.text.end_ids, own=own)
    largest = 0.0
    for together in _batches(feeding, prompts):
        try:
            rows, theirs = [prompts[each] for each in together], rows_of(own, together)
            said = _said(written["generate"], named, read, rows, theirs)
        except Exception as error:  # whatever the code of a class raises, the folder is no use
            what = f"{type(error).__name__}: {str(error)[:300]}"
            raise NotWhatWasScored(
                f"{out}: the folder does not decode with these models ({what}); {NOTHING_KEPT}"
            ) from error
        for row, index in enumerate(together):
            ids, logits = said.row(row)
            read_first = [own.get(place, prompts)[index] for place in range(len(model.modules))]
            largest = max(largest, _row(composer, model, out, read_first, ids, logits, ours[index]))
    return largest


class _Said:
    """What a folder generated: ids and the logits that each was picked by, row by row."""

    def __init__(self, ids: Tensor, logits: Sequence[Tensor], width: int, ends: set[int]) -> None:
        self._ids, self._logits, self._width, self._ends = ids, logits, width, ends

    def row(self, row: int) -> tuple[list[int], Tensor]:
        """New ids, the end token included, and float32 [their number, rows]."""
        ids = self._ids[row, self._width :].tolist()
        stop = next((at + 1 for at, token in enumerate(ids) if token in self._ends), len(ids))
        return ids[:stop], torch.stack([each[row] for each in self._logits[:stop]])


def _said(
    run: Writer, named: Mapping[str, Any], read: Mapping[str, Any], rows: Prompts, own: Own
) -> _Said:
    """Generate greedily with the folder's code from a left-padded batch."""
    width = max(len(each) for each in rows)
    device = named[read["model"]].device

    def padded(rows: Prompts) -> dict[str, Tensor]:
        width = max(len(each) for each in rows)
        pads = [width - len(each) for each in rows]
        ids = [[0] * pad + list(each) for pad, each in zip(pads, rows, strict=True)]
        mask = [[0] * pad + [1] * (width - pad) for pad in pads]
        return {
            "input_ids": torch.tensor(ids, device=device),
            "attention_mask": torch.tensor(mask, device=device),
        }

    labels = list(read["passes"])
    prompts = {labels[place]: padded(each) for place, each in own.items()}
    ends = read["end_ids"]
    others = {name: each for name, each in named.items() if name != read["model"]}
    found = run(
        named[read["model"]], models=others, prompts=prompts, **padded(rows),
        max_new_tokens=STEPS, do_sample=False, num_beams=1, eos_token_id=ends or None,
        pad_token_id=ends[0] if ends else 0, repetition_penalty=1.0, return_dict_in_generate=True,
        output_logits=True,
    )  # fmt: skip
    return _Said(found.sequences, found.logits, width, set(ends))


def apart(logits: Tensor, kept: Tensor, first: Tensor, allowed: float) -> Tensor:
    """The largest difference of two log-distributions; infinite where one rules out what the other
    does not, unless that is a matter of rounding.

    Args:
        logits, kept: float32 [n, ids], −inf where an id is ruled out.
        first: float32 [n, ids], logits of the model that rules out.
        allowed: how far a logit may move.
    """
    both = logits.isfinite() & kept.isfinite()
    least = first.masked_fill(~kept.isfinite(), torch.inf).amin(-1, keepdim=True)
    near = (first - least).abs() <= 2 * allowed
    if bool((logits.isfinite() ^ kept.isfinite()).logical_and(~near).any()):
        return torch.tensor(torch.inf)
    one, other = (each.masked_fill(~both, -torch.inf).log_softmax(-1) for each in (logits, kept))
    return (one - other).masked_fill(~both, 0.0).abs().max()


def _row(
    composer: Composer, model: ComposedModel, out: Path, prompts: Prompts, ids: Sequence[int],
    logits: Tensor, ours: Generation,
) -> float:  # fmt: skip
    """The largest difference of a row's logits from the live mixture's on the same text.

    Args:
        prompts: what each module reads before the ids.
    """
    mixture, prompt = model.mixture, prompts[0]
    assert mixture is not None
    found_parts = [
        module(input_ids=torch.tensor([[*each, *ids]], device=composer.device)).logits.float()
        for module, each in zip(model.modules, prompts, strict=True)
    ]
    parts = [each.abs().max() for each in found_parts]
    last = [each[:, -len(ids) - 1 : -1, : model.rows] for each in found_parts]
    wanted = combine(mixture, [each.clone() for each in last], model.vocabulary)[0]
    size = model.vocabulary or wanted.shape[-1]
    kept = wanted[:, :size].to(logits.device)
    scale = sum(abs(w) * float(p) for w, p in zip(mixture.weights, parts, strict=True))
    allowed = rounding(composer.dtype, scale)
    if mixture.kind == "dynamic":  # of strengths that are as good as each other either is right
        allowed += 2 * dict(mixture.options)["step"] * scale
    first = last[0][0, :, :size]
    sure = torch.full((len(ids),), True, device=logits.device)
    if mixture.rests:  # rounding may tell whether the other models are asked
        sure = decided(first, mixture, allowed).to(logits.device)
    found = 0.0
    if bool(sure.any()):
        there = first.to(logits.device)[sure]
        found = float(apart(logits[sure, :size], kept[sure], there, allowed))
    if not found <= allowed:
        raise NotWhatWasScored(
            f"{out}: the folder's logits differ by {found:.3g} after {len(prompt)} tokens, where "
            f"{allowed:.2g} is allowed; {NOTHING_KEPT}"
        )
    said = tuple(each for each in ids if each not in composer.text.end_ids)
    if said != ours.token_ids:
        pairs = enumerate(zip(said, ours.token_ids, strict=False))
        short = min(len(said), len(ours.token_ids))
        step = next((at for at, (one, other) in pairs if one != other), short)
        if not bool(sure[: step + 1].all()):
            return found
        top = kept[min(step, len(kept) - 1)].topk(2).values
        if float(top[0] - top[1]) > 2 * allowed:  # not a tie
            raise NotWhatWasScored(
                f"{out}: the folder says {list(said)} where the live mixture says "
                f"{list(ours.token_ids)}; {NOTHING_KEPT}"
            )
    return found
