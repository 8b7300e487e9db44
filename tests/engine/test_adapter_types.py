"""Every type of adapter of peft, against peft's own running and merging of it.

The right values never come from this program: the adapter's logits are peft's, its weights are
those of `merge_and_unload` on the float32 base, and a merge is redone here from those.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from safetensors.torch import load_file
from torch import Tensor

from engine.compose import Composer
from engine.errors import BadInput
from engine.export.card import Papers, papers_kind
from engine.export.point import check_export, export_point
from engine.family.compatibility import Family, open_family
from engine.family.peft_types import REFUSED, USABLE
from engine.recipe import Recipe, resolve
from engine.study import FamilySpec
from tests import adapters

IDS = torch.randint(5, 300, (2, 12), generator=torch.Generator().manual_seed(0))
TIGHT = {"rtol": 0, "atol": 2e-5}


@dataclass(frozen=True)
class Case:
    """One adapter, and what peft makes of it."""

    kind: str
    family: Family
    composer: Composer
    live: Tensor
    merged: dict[str, Tensor]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapters.build_base(tmp_path_factory.mktemp("adapters") / "base")


@pytest.fixture(scope="module")
def full(base: Path) -> Path:
    """A full fine-tune beside the adapters."""
    return adapters.build_base(base.parent / "full", seed=5)


@pytest.fixture(scope="module", params=sorted(adapters.KINDS))
def case(request: pytest.FixtureRequest, base: Path, full: Path) -> Case:
    kind = request.param
    place = adapters.write(base, base.parent / f"{kind} adapter", kind)
    # an expert's name may be a word of peft's, or of a module's
    spec = FamilySpec(base, {"train": place, "full": full})
    family = open_family(spec)
    live = adapters.logits(adapters.under_peft(base, place), IDS)
    merged = adapters.merged_by_peft(base, place).state_dict()
    return Case(kind, family, Composer(family, device="cpu"), live, merged)


def mixed(base: Path, case: Case, recipe: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """Logits of a module whose weights a formula over base, adapter and full makes, in bfloat16."""
    zero = adapters.load(base)
    other = adapters.load(case.family.experts["full"].path).state_dict()
    with torch.no_grad():
        for name, parameter in zero.named_parameters():
            theirs = case.merged[name][: len(parameter)]
            parameter.copy_(recipe(parameter, theirs, other[name]).to(torch.bfloat16))
    return adapters.logits(zero, IDS)


def composed(case: Case, recipe: Recipe) -> Tensor:
    model = case.composer.compose(resolve(recipe, case.family.names))
    return adapters.logits(model.modules[0], IDS)


def test_alone_it_runs_as_in_peft(case: Case) -> None:
    found = composed(case, Recipe("single", {}, {"model": "train"}))
    torch.testing.assert_close(found, case.live, **TIGHT)


def test_its_merges_are_those_of_peft_s_weights(base: Path, case: Case) -> None:
    recipe = Recipe("linear", {"base": 0.3, "train": 0.5, "full": 0.2}, {})
    wanted = mixed(base, case, lambda zero, mine, full: 0.3 * zero + 0.5 * mine + 0.2 * full)
    torch.testing.assert_close(composed(case, recipe), wanted, rtol=0, atol=0.02)
    recipe = Recipe("task_arithmetic", {"train": 0.6, "full": 0.3}, {})
    wanted = mixed(base, case, lambda z, mine, full: z + 0.6 * (mine - z) + 0.3 * (full - z))
    torch.testing.assert_close(composed(case, recipe), wanted, rtol=0, atol=0.02)


def test_it_is_the_full_expert_that_peft_s_merge_saves(case: Case, tmp_path: Path) -> None:
    """Tensor by tensor, through a method that ranks task vectors: the same numbers."""
    base = case.family.base.path
    module = adapters.merged_by_peft(base, case.family.experts["train"].path)
    with adapters.quiet():
        module.save_pretrained(tmp_path / "saved")
    adapters.build_tokenizer(tmp_path / "saved")
    spec = FamilySpec(base, {"train": tmp_path / "saved"})
    other = Composer(open_family(spec), device="cpu")
    recipe = Recipe("pcb", {"train": 0.8, "full": 0.0}, {})
    mine = case.composer.basis(resolve(recipe, case.family.names))
    theirs = other.basis(resolve(Recipe("pcb", {"train": 0.8}, {}), other.family.names))
    for name in mine.tensors.names:
        first, second = (torch.zeros(each.tensors.shape(name)) for each in (mine, theirs))
        mine.tensors.read("base", name)
        assert mine.tensors.shape(name) == theirs.tensors.shape(name)
        vectors = zip(mine.tensors.vectors(name), theirs.tensors.vectors(name), strict=True)
        for one, two in vectors:
            torch.testing.assert_close(one.vectors[0], two.vectors[0], rtol=0, atol=1e-6)
        theirs.combine(name, {"train": 0.8}, second)
        mine.combine(name, {"train": 0.8, "full": 0.0}, first)
        if case.family.experts["train"].kind == "adapter":
            assert first.isfinite().all() and first.shape == second.shape


def papers(case: Case, recipe: Recipe, *, adapter: bool = False) -> Papers:
    return Papers(
        study="types", family=case.family, recipe=recipe, kind=papers_kind(recipe, adapter),
        numerics="cpu/float32/1", point="0" * 12,
        fingerprints=dict.fromkeys(case.family.models, "0" * 64),
    )  # fmt: skip


def test_its_exports(base: Path, case: Case, tmp_path: Path) -> None:
    """A copy under peft, and a merged checkpoint in transformers, give what was composed."""
    alone = resolve(Recipe("single", {}, {"model": "train"}), case.family.names)
    export_point(case.composer, papers(case, alone), tmp_path / "copy")
    copied = adapters.logits(adapters.under_peft(base, tmp_path / "copy"), IDS)
    assert torch.equal(copied, case.live)
    recipe = resolve(Recipe("task_arithmetic", {"train": 0.7}, {}), case.family.names)
    export_point(case.composer, papers(case, recipe), tmp_path / "merged")
    wanted = mixed(base, case, lambda zero, mine, full: zero + 0.7 * (mine - zero))
    found = adapters.logits(adapters.load(tmp_path / "merged"), IDS)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.02)


def test_its_adapter_export(base: Path, case: Case, tmp_path: Path) -> None:
    """A plain LoRA leaves as an adapter; of any other kind that is refused beforehand."""
    recipe = resolve(Recipe("task_arithmetic", {"train": 0.7}, {}), case.family.names)
    out = tmp_path / "adapter"
    if case.family.experts["train"].kind != "lora":
        with pytest.raises(BadInput, match=r"--adapter: .*Export a merged"):
            check_export(recipe, case.family, out, adapter=True)
        return
    export_point(case.composer, papers(case, recipe, adapter=True), out, adapter=True)
    zero = adapters.load(base)
    with torch.no_grad():
        for name, parameter in zero.named_parameters():
            parameter.add_((case.merged[name] - parameter) * 0.7)
    found = adapters.logits(adapters.under_peft(base, out), IDS)
    torch.testing.assert_close(found, adapters.logits(zero, IDS), **TIGHT)
    assert all(
        t.dtype is torch.float32 for t in load_file(out / "adapter_model.safetensors").values()
    )


def test_every_type_of_peft_is_known() -> None:
    known = {each.value for each in PEFT_TYPE_TO_CONFIG_MAPPING}
    assert USABLE.keys() | REFUSED.keys() == known
