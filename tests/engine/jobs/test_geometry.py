"""Norms and inner products of task vectors, against plain float64 arithmetic on whole tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.errors import Cancelled
from engine.family.compatibility import open_family
from engine.family.weights import Reader
from engine.jobs.geometry import group_of, measure_geometry, products
from engine.jobs.models import Models
from engine.jobs.service import Service
from engine.merging import basis
from engine.study import load_study
from engine.worker.messages import Job
from tests.engine.jobs.small import build_small_study
from tests.families import FamilyFiles, build_tied_family


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("family"))


def whole(study: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """(expert -> tensor -> τ, tensor -> θ0), float64; rows an expert lacks count as the base's."""
    family = open_family(load_study(study).family)
    base = {name: Reader(family.base).read(name).double() for name in family.tensors}
    found: dict[str, dict[str, Tensor]] = {}
    for expert, checkpoint in family.experts.items():
        reader = Reader(checkpoint)
        found[expert] = {}
        for name, theta in base.items():
            if checkpoint.kind == "lora":
                delta = reader.delta(name)
                found[expert][name] = torch.zeros_like(theta) if delta is None else delta.double()
            else:
                theirs = reader.read(name).float()[: len(theta)]
                padded = theta.clone()
                padded[: len(theirs)] = (theirs - theta[: len(theirs)].float()).double()
                padded[len(theirs) :] = 0.0
                found[expert][name] = padded
    return found, base


def ask(study: Path, workspace: Path, tick: Any = lambda: None) -> tuple[Any, list[Any], list[Any]]:
    rows: list[Any] = []
    progress: list[Any] = []

    def emit(kind: str, data: Any = None) -> None:
        {"result": rows, "progress": progress}.get(kind, []).append(data)

    result = measure_geometry(Models(workspace, "cpu"), {"study": str(study)}, emit, tick)
    return result, rows, progress


def test_sums_are_those_of_plain_arithmetic(
    files: FamilyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(basis, "CHUNK", 1000)  # so that tensors come in several chunks
    study = files.study("helpful", "padded", "terse", "formal", name="geometry")
    result, rows, progress = ask(study, tmp_path)
    vectors, base = whole(study)
    assert result["groups"] == ["embedding", "layer 0", "layer 1", "layer 2", "other"]
    assert result["experts"] == ["helpful", "padded", "terse", "formal"]
    for group, square, found in zip(
        result["groups"], result["base"], result["products"], strict=True
    ):
        names = [name for name in base if group_of(name) == group]
        theta = torch.cat([base[name].flatten() for name in names])
        tau = torch.stack(
            [torch.cat([vectors[e][name].flatten() for name in names]) for e in vectors]
        )
        assert square == pytest.approx(float(theta @ theta), rel=1e-12)
        torch.testing.assert_close(
            torch.tensor(found, dtype=torch.float64), tau @ tau.T, rtol=1e-12, atol=1e-15
        )
    adapters = torch.tensor(result["products"])[:, 2:, 2:]
    assert adapters[0].count_nonzero() == 0  # they leave the embedding alone
    assert (adapters[1].diagonal() > 0).all()
    assert rows == [{"row": result}]
    assert progress[0]["done"] == 0 and progress[-1]["done"] == progress[-1]["total"] == len(base)


def test_the_row_is_found_again_by_the_family(tmp_path: Path) -> None:
    study = build_small_study(tmp_path / "family", adapter=True)
    service = Service(tmp_path, "cpu")
    rows: list[Any] = []

    def emit(kind: str, data: Any = None) -> None:
        if kind == "result":
            rows.append(data["row"])

    try:
        payload = {"study": str(study)}
        opened = service.run(Job("open", payload), emit, lambda: None)
        result = service.run(Job("geometry", payload), emit, lambda: None)
    finally:
        service.close()
    assert rows == [result]
    assert result["id"] == result["family"] == opened["family"]


def test_a_cancel_is_heard_at_every_tensor(tmp_path: Path) -> None:
    study = build_small_study(tmp_path / "family")
    calls = 0

    def tick() -> None:
        nonlocal calls
        calls += 1

    ask(study, tmp_path, tick)
    assert calls >= 2 * 20

    def stop() -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        ask(study, tmp_path, stop)


def test_products_of_long_rows_are_summed_in_float64() -> None:
    rows = torch.full((2, 3 * basis.SPAN + 7), 0.1)
    rows[1] = -0.3
    exact = rows.double() @ rows.double().T
    torch.testing.assert_close(products(rows), exact, rtol=1e-11, atol=0.0)


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("model.embed_tokens.weight", "embedding"),
        ("transformer.wte.weight", "embedding"),
        ("model.layers.12.mlp.up_proj.weight", "layer 12"),
        ("transformer.h.0.attn.c_attn.weight", "layer 0"),
        ("model.layers.3.block_sparse_moe.experts.5.w1.weight", "layer 3"),
        ("lm_head.weight", "head"),
        ("model.norm.weight", "other"),
    ],
)
def test_groups_of_tensors(name: str, group: str) -> None:
    assert group_of(name) == group
