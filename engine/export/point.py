"""Exports a point in the form that keeps exactly what was scored.

single              a copy of the model
weight space        a merged checkpoint
LoRA experts only   an adapter (exact) on request, else merged, with the difference stated
logit space         the recipe and a folder that decodes with plain transformers

Every export is reloaded before it appears (engine/export/verify.py); if it is not the model that
was scored, it is removed, and OUT is unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from engine.compose import Composer
from engine.composed import ComposedModel
from engine.errors import bad
from engine.export.card import Papers, hub_id, write_papers
from engine.export.checkpoint import copy_model, merge_to, planned
from engine.export.directory import check_output, new_directory
from engine.export.folder import write_folder
from engine.export.mergekit import mergekit_text
from engine.export.plan import plan_export
from engine.export.unmerged import verify_rounded
from engine.export.verify import (
    TOLERANCE,
    Live,
    NotWhatWasScored,
    apart,
    probe,
    probe_ids,
    reloaded,
    reloaded_adapter,
    rounding,
    same,
    verify_weights,
)
from engine.family.checkpoint import Checkpoint
from engine.family.compatibility import Family
from engine.merging.adapters import runs_unmerged
from engine.merging.basis import nothing
from engine.merging.peft_layers import resized_rows
from engine.recipe import Recipe

OWN_WORDS = (
    "It was scored with words of its own around each prompt (`templates:` of the study), which are "
    "not among these files."
)


@dataclass(frozen=True)
class Exported:
    """What an export wrote, verified.

    Attributes:
        files: names inside `out`, sorted.
        max_logit_difference: between the reloaded export and the live model.
    """

    out: Path
    files: tuple[str, ...]
    max_logit_difference: float


def check_export(recipe: Recipe, family: Family, out: Path, *, adapter: bool = False) -> None:
    """Refuse what cannot be exported, before anything is composed or measured.

    Args:
        recipe: resolved on the family.

    Raises:
        BadInput: the recipe has no adapter; the output is not empty or has no room.
    """
    if adapter and recipe.prune is not None:
        what = f"{recipe} is a merge whose weights are zeroed, and no adapter says which"
        raise bad("--adapter", what, "Export a merged checkpoint instead.")
    if adapter and not runs_unmerged(recipe, family):
        what = f"{recipe} is not task arithmetic over LoRA experts only"
        raise bad("--adapter", what, "Export a merged checkpoint instead.")
    check_output(out, plan_export(family, recipe, adapter=adapter).bytes)


def export_point(
    composer: Composer,
    papers: Papers,
    out: Path,
    *,
    adapter: bool = False,
    tick: Callable[[], None] = nothing,
) -> Exported:
    """Write the recipe of `papers` to a directory that appears whole and verified or not at all.

    Args:
        adapter: write a LoRA adapter; for task arithmetic over LoRA experts alone.
        tick: called at every tensor and chunk; may raise `Cancelled`, and nothing is left then.

    Raises:
        BadInput: the output is not empty, has no room, or the recipe has no adapter.
        ParetoscopeError: the disk filled up, or what was written is not what was scored.
    """
    recipe, family = papers.recipe, composer.family
    check_export(recipe, family, out, adapter=adapter)
    model = composer.compose(recipe, tick)
    ids = probe_ids(composer)
    live = Live(ids, probe(model, ids), out)
    with composer.ticking(tick):
        if recipe.unmerged is not None:
            return _copy(composer, papers, live, tick)
        if model.mixture is not None:
            files, found = write_folder(composer, model, papers, out)
            return Exported(out, tuple(sorted(files)), found)
        if adapter:
            return _adapter(composer, papers, model, live)
        return _merged(composer, papers, model, live)


def _merged(composer: Composer, papers: Papers, model: ComposedModel, live: Live) -> Exported:
    basis = composer.scored_basis(papers.recipe)
    found = 0.0

    def finish(partial: Path) -> list[str]:
        nonlocal found
        mine = papers
        verify_weights(partial, planned(basis, None), basis, lambda _: model.coefficients)
        if runs_unmerged(papers.recipe, composer.family):
            # merged weights are rounded, what was scored was not
            difference = verify_rounded(composer, partial, basis, model.coefficients, live)
            found = difference.difference
            note = (
                "Its scores were measured with the adapters unmerged; rounding the merged weights "
                f"moves a probe logit by up to {found:.3g}, of {difference.allowed:.2g} that their "
                "type explains."
            )
            mine = replace(papers, difference=found, notes=(*papers.notes, note))
        else:
            found = _same(composer, partial, live)
        names = _mergekit(mine, partial)
        if not names:
            note = "No mergekit file gives this result, so there is no mergekit_config.yml."
            mine = replace(mine, notes=(*mine.notes, note))
        if papers.recipe.prune is not None:
            said = composer.zeros(papers.recipe).sentence
            mine = replace(mine, notes=(*mine.notes, f"{said} mergekit cannot prune."))
        return names + write_papers(mine, partial, live.out.name)

    files = merge_to(live.out, basis, lambda _: model.coefficients, finish=finish)
    return Exported(live.out, tuple(files), found)


def _same(composer: Composer, place: Path, live: Live) -> float:
    """The difference of a checkpoint that holds the very weights that were scored."""
    again = reloaded(composer, place, live.ids)
    allowed = TOLERANCE
    if again.device != live.logits.device:  # another device makes the same sums in another order
        allowed = rounding(composer.dtype, float(live.logits.abs().max()))
    return same(apart(again.to(live.logits.device), live.logits), allowed, live, "reloaded")


def _beside_base(
    composer: Composer, place: Path, live: Live, source: Checkpoint | None = None
) -> float:
    """The difference of an adapter on the plain base; of a copy with its source."""
    rows = None if source is None else resized_rows(source)
    again = reloaded_adapter(composer, place, live.ids, rows)
    allowed = rounding(composer.dtype, float(live.logits.abs().max()))
    return same(apart(again, live.logits), allowed, live, "the adapter's")


def _mergekit(papers: Papers, out: Path) -> list[str]:
    text = mergekit_text(papers.recipe, papers.family)
    if text is None:
        return []
    (out / "mergekit_config.yml").write_text(text, encoding="utf-8")
    return ["mergekit_config.yml"]


def _copy(composer: Composer, papers: Papers, live: Live, tick: Callable[[], None]) -> Exported:
    source = composer.family.checkpoint(str(papers.recipe.parameters["model"]))
    found = 0.0

    def finish(partial: Path) -> list[str]:
        nonlocal found
        notes: tuple[str, ...] = ()
        if source.is_adapter:
            found, notes = _copied_adapter(composer, source, partial, live)
        else:
            found = _same(composer, partial, live)
        if source.name in composer.family.words:
            notes = (*notes, OWN_WORDS)
        mine = replace(papers, notes=(*papers.notes, *notes))
        return write_papers(mine, partial, live.out.name)

    files = copy_model(source.path, live.out, finish, tick)
    return Exported(live.out, tuple(files), found)


def _copied_adapter(
    composer: Composer, source: Checkpoint, partial: Path, live: Live
) -> tuple[float, tuple[str, ...]]:
    """(difference, notes) of an adapter's copy.

    peft leaves tensors out whose names it does not expect, and says nothing that stops it. A plain
    LoRA is then written again under the names that it reads.
    """
    try:
        found = _beside_base(composer, partial, live, source)
        rows = resized_rows(source)
        if rows is None or rows == composer.family.base.rows:
            return found, ()
        return found, (f"Call resize_token_embeddings({rows}) on the base before peft loads it.",)
    except NotWhatWasScored:
        if source.kind != "lora":
            raise
    composer.adapters.save_concatenated({source.name: 1.0}, partial)
    note = "Its tensors use the names that peft reads; peft would skip the original names."
    return _beside_base(composer, partial, live), (note,)


def _adapter(composer: Composer, papers: Papers, model: ComposedModel, live: Live) -> Exported:
    with new_directory(live.out) as partial:
        names = composer.adapters.save_concatenated(model.coefficients, partial)
        base = hub_id(composer.family.spec.base)
        file = partial / "adapter_config.json"
        config = json.loads(file.read_text(encoding="utf-8"))
        config["base_model_name_or_path"] = base  # a local path means nothing elsewhere
        file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        found = _beside_base(composer, partial, live)
        names += write_papers(papers, partial, live.out.name)
    return Exported(live.out, tuple(sorted(names)), found)
