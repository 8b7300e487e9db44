"""Exports a point: whichever form keeps exactly what was scored.

single              a copy of the model
weight space        a merged checkpoint
LoRA experts only   an adapter (exact) on request, else merged, with the difference stated
logit space         the recipe and a folder that decodes with plain transformers
"""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from engine.compose import ComposedModel, Composer, runs_unmerged
from engine.decoding.fusion import combine
from engine.errors import ParetoscopeError, bad
from engine.export import custom_generate
from engine.export.card import Papers, hub_id, write_papers
from engine.export.checkpoint import copy_model, copy_side_files, merge_to, verify_weights
from engine.export.directory import check_output, new_directory
from engine.export.mergekit import mergekit_text
from engine.export.plan import GENERATE, leading, plan_export
from engine.family.checkpoint import open_checkpoint
from engine.family.compatibility import Family
from engine.family.loading import load_module
from engine.merging.adapters import plain_adapter
from engine.merging.basis import nothing
from engine.recipe import Recipe

TOLERANCE = 1e-4
"""Largest |logit difference| at which a reloaded export counts as the same model, in float32."""

_EMPTY = "SETTINGS: dict[str, Any] = {}\n"
_PROBES = 4
_PROBE_LENGTH = 32


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        files: names inside `out`, sorted.
        verified: None where it was not asked for.
        max_logit_difference: between the reloaded export and the live model; None where not
            computed.
    """

    out: Path
    files: tuple[str, ...]
    verified: bool | None = None
    max_logit_difference: float | None = None


def probe_ids(composer: Composer) -> Tensor:
    """Token ids [4, 32] to compare logits on: spread over the vocabulary, the same every time."""
    generator = torch.Generator().manual_seed(0)
    size = min(composer.text.size, composer.family.rows)
    ids = torch.randint(0, size, (_PROBES, _PROBE_LENGTH), generator=generator)
    return ids.to(composer.device)


@torch.inference_mode()
def probe(model: ComposedModel, ids: Tensor) -> Tensor:
    """Logits of a composed model on probes, float32, cut to the rows that all of it has."""
    rows = model.rows
    parts = [each(input_ids=ids).logits[..., :rows].float() for each in model.modules]
    return parts[0] if model.mixture is None else combine(model.mixture, parts)


def check_export(recipe: Recipe, family: Family, out: Path, *, adapter: bool = False) -> None:
    """Refuse what cannot be exported, before anything is composed or measured.

    Args:
        recipe: resolved on the family.

    Raises:
        BadInput: the recipe has no adapter; the output is not empty or has no room.
    """
    if adapter and not runs_unmerged(recipe, family):
        what = f"{recipe} is not task arithmetic over LoRA experts alone"
        raise bad("--adapter", what, "Export it merged.")
    check_output(out, plan_export(family, recipe, adapter=adapter).bytes)


def export_point(
    composer: Composer,
    papers: Papers,
    out: Path,
    *,
    adapter: bool = False,
    verify: bool = False,
    tick: Callable[[], None] = nothing,
) -> Exported:
    """Write the recipe of `papers` to a directory that appears whole or not at all.

    Args:
        adapter: write a LoRA adapter; for task arithmetic over LoRA experts alone.
        verify: reload what was written with plain transformers and compare.
        tick: called at every tensor and chunk; may raise `Cancelled`, and nothing is left then.

    Raises:
        BadInput: the output is not empty, has no room, or the recipe has no adapter.
        ParetoscopeError: the disk filled up; a verification found a difference (the export stays).
    """
    recipe, family = papers.recipe, composer.family
    check_export(recipe, family, out, adapter=adapter)
    unmerged = runs_unmerged(recipe, family)
    model = composer.compose(recipe, tick)
    ids = probe_ids(composer)
    live = probe(model, ids)
    with composer.ticking(tick):
        if recipe.method == "single":
            return _copy(composer, papers, out, live, ids, verify, tick)
        if model.mixture is not None:
            return _decoding(composer, model, papers, out, live, ids, verify)
        if adapter:
            return _adapter(composer, papers, out, model, live, ids, verify)
        return _merged(composer, papers, out, model, live, ids, verify, unmerged)


def _difference(composer: Composer, out: Path, live: Tensor, ids: Tensor) -> float:
    """Largest |logit difference| between a written checkpoint and the live model."""
    module, _ = load_module(
        open_checkpoint(out, "export"), composer.device, composer.dtype, mapped=False
    )
    with torch.inference_mode():
        again = module(input_ids=ids).logits.float()
    return float((again[..., : live.shape[-1]] - live).abs().max())


def _merged(
    composer: Composer,
    papers: Papers,
    out: Path,
    model: ComposedModel,
    live: Tensor,
    ids: Tensor,
    verify: bool,
    unmerged: bool,
) -> Exported:
    basis = composer.basis(papers.recipe)
    coefficients = model.coefficients
    difference = None

    def extra(partial: Path) -> list[str]:
        nonlocal difference
        mine = papers
        if unmerged:  # merged weights are rounded, what was scored was not
            difference = _difference(composer, partial, live, ids)
            note = (
                "Its scores were measured with the adapters unmerged; rounding the merged weights "
                f"moves a probe logit by up to {difference:.3g}."
            )
            mine = replace(papers, difference=difference, notes=(*papers.notes, note))
        names = _mergekit(mine, partial)
        if not names:
            note = "No mergekit file gives this result, so there is no mergekit_config.yml."
            mine = replace(mine, notes=(*mine.notes, note))
        return names + write_papers(mine, partial, out.name)

    files = merge_to(out, basis, lambda _: coefficients, extra=extra)
    if not verify:
        return Exported(out, tuple(files), None, difference)
    verify_weights(out, basis, lambda _: coefficients)
    found = _difference(composer, out, live, ids)
    if not unmerged and found > TOLERANCE:
        raise ParetoscopeError(f"{out}: reloaded logits differ by {found:.3g} from what was scored")
    return Exported(out, tuple(files), True, found)


def _mergekit(papers: Papers, out: Path) -> list[str]:
    text = mergekit_text(papers.recipe, papers.family)
    if text is None:
        return []
    (out / "mergekit_config.yml").write_text(text, encoding="utf-8")
    return ["mergekit_config.yml"]


def _copy(
    composer: Composer,
    papers: Papers,
    out: Path,
    live: Tensor,
    ids: Tensor,
    verify: bool,
    tick: Callable[[], None],
) -> Exported:
    name = str(papers.recipe.parameters["model"])
    source = composer.family.checkpoint(name)
    files = copy_model(
        source.path, out, lambda partial: write_papers(papers, partial, out.name), tick
    )
    if not verify:
        return Exported(out, tuple(files))
    if source.is_adapter:
        for each in source.files:
            if each.read_bytes() != (out / each.name).read_bytes():
                raise ParetoscopeError(f"{out / each.name}: differs from {each}")
        return Exported(out, tuple(files), True, 0.0)
    found = _difference(composer, out, live, ids)
    if found > TOLERANCE:
        raise ParetoscopeError(f"{out}: reloaded logits differ by {found:.3g} from what was scored")
    return Exported(out, tuple(files), True, found)


def _adapter(
    composer: Composer,
    papers: Papers,
    out: Path,
    model: ComposedModel,
    live: Tensor,
    ids: Tensor,
    verify: bool,
) -> Exported:
    with new_directory(out) as partial:
        names = composer.adapters.save_concatenated(model.coefficients, partial)
        base = hub_id(composer.family.spec.base)
        file = partial / "adapter_config.json"
        config = json.loads(file.read_text(encoding="utf-8"))
        config["base_model_name_or_path"] = base  # a local path means nothing elsewhere
        file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        names += write_papers(papers, partial, out.name)
    if not verify:
        return Exported(out, tuple(sorted(names)))
    module, _ = load_module(composer.family.base, composer.device, composer.dtype, mapped=False)
    alone = plain_adapter(module, out)
    with torch.inference_mode():
        again = alone(input_ids=ids).logits.float()
    found = float((again - live).abs().max())
    if found > TOLERANCE:
        raise ParetoscopeError(f"{out}: the adapter's logits differ by {found:.3g}")
    return Exported(out, tuple(sorted(names)), True, found)


def _decoding(
    composer: Composer,
    model: ComposedModel,
    papers: Papers,
    out: Path,
    live: Tensor,
    ids: Tensor,
    verify: bool,
) -> Exported:
    mixture = model.mixture
    assert mixture is not None
    first = leading(mixture.models)
    settings = {
        "model": first,
        "models": list(mixture.models),
        "weights": list(mixture.weights),
        "kind": mixture.kind,
        "rows": model.rows,
        "vocabulary": min(composer.text.size, model.rows or composer.text.size),
        "end_ids": sorted(composer.text.end_ids),
        "hub_ids": {
            name: hub_id(composer.family.spec.path_of(name)) for name in mixture.models
        },
    }  # fmt: skip
    note = (
        "No single checkpoint holds this mixture: several models run at every token. "
        f"`custom_generate/generate.py` decodes with plain transformers: load {first} "
        "as the model and pass the others by name as `models=`."
    )
    mine = replace(papers, kind="decoding", notes=(*papers.notes, note))
    with new_directory(out) as partial:
        (partial / GENERATE).parent.mkdir()
        code = Path(custom_generate.__file__).read_text(encoding="utf-8")
        code = code.replace(_EMPTY, f"SETTINGS: dict[str, Any] = {settings!r}\n", 1)
        (partial / GENERATE).write_text(code, encoding="utf-8")
        (partial / "recipe.yaml").write_text(papers.recipe.to_yaml(), encoding="utf-8")
        names = [GENERATE, "recipe.yaml"]
        names += [*copy_side_files(composer.family, partial)]
        names += write_papers(mine, partial, out.name)
    if not verify:
        return Exported(out, tuple(sorted(names)))
    written = runpy.run_path(str(out / GENERATE))
    read = written["SETTINGS"]
    with torch.inference_mode():
        parts = [each(input_ids=ids).logits[..., : read["rows"]].float() for each in model.modules]
        again = written["combine"](parts, read["weights"], read["kind"])
    found = float((again.log_softmax(-1) - live.log_softmax(-1)).abs().max())
    if found > TOLERANCE:
        raise ParetoscopeError(f"{out}: the folder's logits differ by {found:.3g}")
    return Exported(out, tuple(sorted(names)), True, found)
