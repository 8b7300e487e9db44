"""What is told before an export is what the export then writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.compose import Composer
from engine.errors import BadInput, Cancelled
from engine.export.card import Papers, papers_kind
from engine.export.layout import Planned
from engine.export.plan import Plan, plan_export
from engine.export.point import check_export, export_point
from engine.family.compatibility import open_family
from engine.recipe import Recipe, resolve

from .conftest import spec

ABOUT = 300
"""Bytes by which a size may be off that is told as "about": texts with numbers not known before."""

MERGED = Recipe("task_arithmetic", {"helpful": 0.5, "terse": 0.25})
UNMERGED = Recipe("task_arithmetic", {"terse": 0.5, "formal": 0.7})
FUSED = Recipe("proxy_tuning", {"helpful": 0.5, "terse": 1.0})


def single(model: str) -> Recipe:
    return Recipe("single", {}, {"model": model})


def papers(composer: Composer, recipe: Recipe, adapter: bool = False) -> Papers:
    return Papers(
        study="trio", family=composer.family, recipe=recipe, kind=papers_kind(recipe, adapter),
        numerics=str(composer.numerics), point="0123456789ab",
        fingerprints=dict.fromkeys(composer.family.models, "f" * 64),
    )  # fmt: skip


def written(out: Path) -> dict[str, int]:
    return {
        str(each.relative_to(out)): each.stat().st_size for each in out.rglob("*") if each.is_file()
    }


def same(plan: Plan, found: dict[str, int]) -> None:
    assert [each.name for each in plan.files] == sorted(found)
    for each in plan.files:
        off = abs(each.bytes - found[each.name])
        assert off <= (ABOUT if each.about else 0), (each, found[each.name])


@pytest.mark.parametrize(
    ("recipe", "adapter", "kind", "beside"),
    [
        (MERGED, False, "merged", ()),
        (Recipe("pcb", {"helpful": 1.0}), False, "merged", ()),
        (UNMERGED, False, "merged", ()),
        (UNMERGED, True, "adapter", ("base",)),
        (FUSED, False, "decoding", ("target", "helpful", "terse", "base")),
        (Recipe("logit_fusion", {"helpful": 1.0, "base": 1.0}), False, "decoding",
         ("base", "helpful")),
        (single("base"), False, "copy", ()),
        (single("target"), False, "copy", ()),
        (single("terse"), False, "copy", ("base",)),
    ],
)  # fmt: skip
def test_names_and_sizes(
    composer: Composer, tmp_path: Path, recipe: Recipe, adapter: bool, kind: str, beside: tuple
) -> None:
    recipe = resolve(recipe, composer.family.names)
    plan = plan_export(composer.family, recipe, adapter=adapter, study="trio")
    assert (plan.kind, plan.beside) == (kind, beside)
    export_point(composer, papers(composer, recipe, adapter), tmp_path / "trio", adapter=adapter)
    same(plan, written(tmp_path / "trio"))
    weights = [each for each in plan.files if each.name.endswith(".safetensors")]
    assert not any(each.about for each in weights) and bool(weights) == (kind != "decoding")


def test_the_rank_of_an_adapter(composer: Composer) -> None:
    names = composer.family.names
    assert plan_export(composer.family, resolve(UNMERGED, names), adapter=True).rank == 4 + 2
    assert plan_export(composer.family, resolve(single("formal"), names)).rank == 2
    assert plan_export(composer.family, resolve(UNMERGED, names)).rank == 0


def test_more_rows_change_weights_and_config(root: Path, tmp_path: Path) -> None:
    family = open_family(spec(root, "helpful", "padded"))
    recipe = resolve(Recipe("task_arithmetic", {"padded": 1.0}), family.names)
    other = Composer(family, device="cpu")
    export_point(other, papers(other, recipe), tmp_path / "trio")
    same(plan_export(family, recipe, study="trio"), written(tmp_path / "trio"))


def test_shards(root: Path) -> None:
    family = open_family(spec(root, "helpful"))
    recipe = resolve(Recipe("task_arithmetic", {"helpful": 0.5}), family.names)
    plan = plan_export(family, recipe, shard=60_000)
    shards = [each for each in plan.files if each.name.startswith("model-")]
    whole = plan_export(family, recipe)
    assert len(shards) > 2 and all(each.bytes < 70_000 for each in shards[1:])
    assert "model.safetensors.index.json" in [each.name for each in plan.files]
    [one] = [each for each in whole.files if each.name == "model.safetensors"]
    assert abs(sum(each.bytes for each in shards) - one.bytes) < 200 * len(shards)


def test_a_planned_tensor_has_the_bytes_of_its_dtype() -> None:
    assert Planned("x", "BF16", (3, 5)).bytes == 30 and Planned("x", "F32", ()).bytes == 4


def test_a_disk_that_is_too_small_is_refused(
    composer: Composer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = resolve(MERGED, composer.family.names)
    needed = plan_export(composer.family, recipe).bytes
    monkeypatch.setattr("engine.export.directory.free_bytes", lambda _: needed - 1)
    with pytest.raises(BadInput, match="are free"):
        check_export(recipe, composer.family, tmp_path / "out")
    monkeypatch.setattr("engine.export.directory.free_bytes", lambda _: needed)
    check_export(recipe, composer.family, tmp_path / "out")


@pytest.mark.parametrize("recipe", [MERGED, UNMERGED, single("helpful")])
def test_a_cancelled_export_leaves_nothing(
    composer: Composer, tmp_path: Path, recipe: Recipe
) -> None:
    """At whichever tick it comes: the first ones compose, the later ones write."""
    recipe = resolve(recipe, composer.family.names)
    ticks = [0]

    def count() -> None:
        ticks[0] += 1

    for place in ("first", "whole"):  # the first may load what is kept for the next ones
        ticks[0] = 0
        export_point(composer, papers(composer, recipe), tmp_path / place, tick=count)
    in_all, partly = ticks[0], []
    for stop in {1, in_all // 2, in_all - 1, in_all} - {0}:
        ticks[0] = 0

        def cancel(stop: int = stop) -> None:
            partly.append(any("tmp-" in each.name for each in (tmp_path / "deep").glob("*")))
            ticks[0] += 1
            if ticks[0] == stop:
                raise Cancelled("by a person")

        with pytest.raises(Cancelled):
            export_point(composer, papers(composer, recipe), tmp_path / "deep" / "out", tick=cancel)
        assert not (tmp_path / "deep").exists()
    assert any(partly)  # cancelled while files lay there


def test_it_needs_no_torch() -> None:
    code = "import sys, engine.export.plan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
