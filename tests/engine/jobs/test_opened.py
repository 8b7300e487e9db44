"""Families kept open, and what parking does to their weights: the service without an executor."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.compose import Composer
from engine.composed import ComposedModel
from engine.errors import BadInput, Cancelled, IncompatibleFamily
from engine.family import memory as memory_module
from engine.jobs import opened as opened_module
from engine.jobs.beside import Ended
from engine.jobs.opened import OpenFamilies
from engine.jobs.service import Service
from engine.recipe import Recipe, point_id, resolve
from engine.worker.messages import Job
from tests.engine.jobs.alone import Alone
from tests.engine.jobs.small import build_small_study, recipe


@pytest.fixture(scope="module")
def study(tmp_path_factory: Any) -> Path:
    return build_small_study(tmp_path_factory.mktemp("family"))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path, "cpu")
    yield made
    made.close()


def weights(composer: Composer) -> list[torch.Tensor]:
    return [each.clone() for each in composer.merged.module.parameters()]


def run(
    service: Service, kind: str, tick: Callable[[], None] = lambda: None, **payload: Any
) -> Any:
    return service.run(Job(kind, payload), Alone(), tick)


def test_parking_restores_the_live_weights_bit_for_bit(service: Service, study: Path) -> None:
    run(service, "evaluate", study=str(study), recipes=[recipe(helpful=0.5)], objectives=["has"])
    (opened,) = service.families._open.values()
    before = weights(opened.composer)
    live: ComposedModel | None = opened.composer.live
    ticks = iter(range(1000))

    def tick() -> None:
        if next(ticks) == 3:
            put_back = service.park()
            run(service, "evaluate", study=str(study), recipes=[recipe(helpful=1.5)])
            assert opened.composer.live is not live
            put_back()

    run(
        service,
        "evaluate",
        tick,
        study=str(study),
        recipes=[recipe(helpful=0.5)],
        objectives=["loss"],
    )
    assert next(ticks) > 4
    assert all(map(torch.equal, before, weights(opened.composer)))


def test_time_spent_parked_is_not_the_sweeps(service: Service, study: Path) -> None:
    rows = []
    ticks = iter(range(10**6))
    slept = False

    def tick() -> None:
        nonlocal slept
        if next(ticks) > 40 and not slept:
            slept = True
            put_back = service.park()
            time.sleep(1.0)
            put_back()

    start = time.perf_counter()
    service.run(
        Job(
            "evaluate",
            {"study": str(study), "recipes": [recipe(helpful=0.1)], "objectives": ["has"]},
        ),
        Alone(lambda kind, data: rows.append(data["row"]) if kind == "result" else None),
        tick,
    )
    assert slept and rows[0]["seconds"] <= time.perf_counter() - start - 1.0


def test_a_family_stays_open_until_its_files_change(service: Service, tmp_path: Path) -> None:
    study = build_small_study(tmp_path / "family")
    first = run(service, "open", study=str(study))
    (opened,) = service.families._open.values()
    assert run(service, "open", study=str(study)) == {
        **first,
        "memory": pytest.approx(first["memory"], rel=1),
    }
    assert list(service.families._open.values()) == [opened]
    other = tmp_path / "family" / "helpful" / "model.safetensors"
    data = bytearray(other.read_bytes())
    data[-2:] = b"\x80\x3f"
    other.write_bytes(bytes(data))
    second = run(service, "open", study=str(study))
    assert second["family"] != first["family"]
    (reopened,) = service.families._open.values()
    assert reopened is not opened


def test_what_is_free_is_told_as_it_was_before_the_models_were_loaded(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = build_small_study(tmp_path / "family")
    first = run(service, "open", study=str(study))
    run(service, "evaluate", study=str(study), recipes=[recipe(helpful=0.5)], objectives=["has"])
    monkeypatch.setattr(memory_module, "available_memory", lambda: 0)  # the models take it
    assert run(service, "open", study=str(study))["memory"] == first["memory"]


def test_weights_are_read_beside_the_opening(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = build_small_study(tmp_path / "family")
    composed, own, make = threading.Event(), opened_module.fingerprints, OpenFamilies._composer

    def late(*arguments: Any) -> Any:
        assert composed.wait(60), "the models are opened only when all are read"
        return own(*arguments)

    def composer(self: OpenFamilies, family: Any) -> Any:
        found = make(self, family)
        composed.set()
        return found

    monkeypatch.setattr(opened_module, "fingerprints", late)
    monkeypatch.setattr(OpenFamilies, "_composer", composer)
    assert run(service, "open", study=str(study))["family"]


def test_a_cancel_while_weights_are_read_ends_the_reading(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = build_small_study(tmp_path / "family")
    ended: list[str] = []

    def endless(family: Any, workspace: Any, tick: Any) -> Any:
        try:
            while True:
                tick()
        except Ended as error:
            ended.append(str(error))
            raise

    def cancel() -> None:
        raise Cancelled("cancelled")

    monkeypatch.setattr(opened_module, "fingerprints", endless)
    with pytest.raises(Cancelled):
        run(service, "open", cancel, study=str(study))
    assert ended and not service.families._open


def test_weights_that_are_not_finite_are_refused_before_anything_is_open(
    service: Service, tmp_path: Path
) -> None:
    study = build_small_study(tmp_path / "family")
    other = tmp_path / "family" / "helpful" / "model.safetensors"
    data = bytearray(other.read_bytes())
    data[-2:] = b"\x80\x7f"
    other.write_bytes(bytes(data))
    for kind in ("open", "generate"):
        with pytest.raises(BadInput, match=r"(?s)helpful.*model.safetensors"):
            run(service, kind, study=str(study), recipe=recipe(helpful=0.5), prompts=["why"])
    assert not service.families._open


def test_a_family_that_stopped_fitting_is_refused(service: Service, tmp_path: Path) -> None:
    study = build_small_study(tmp_path / "family")
    run(service, "open", study=str(study))
    (tmp_path / "family" / "helpful" / "config.json").unlink()
    with pytest.raises(IncompatibleFamily):
        run(service, "open", study=str(study))


def test_at_most_two_families_stay_open_and_those_in_use_do(
    service: Service, tmp_path: Path
) -> None:
    studies = [build_small_study(tmp_path / str(index)) for index in range(4)]
    seen = 0

    def tick() -> None:
        nonlocal seen
        if not seen:
            seen = 1
            for study in studies[1:]:
                run(
                    service,
                    "evaluate",
                    study=str(study),
                    recipes=[recipe(helpful=1.0)],
                    objectives=["cost"],
                )
            seen = len(service.families._open)
            assert any(each.base.is_relative_to(tmp_path / "0") for each in service.families._open)

    run(service, "open", study=str(studies[0]))
    run(service, "evaluate", tick, study=str(studies[0]), recipes=[recipe(helpful=1.0)])
    assert seen == 2


def test_ids_are_those_of_recipes(service: Service, study: Path) -> None:
    rows: list[Any] = []
    service.run(
        Job(
            "evaluate",
            {"study": str(study), "recipes": [recipe(helpful=-0.0)], "objectives": ["cost"]},
        ),
        Alone(lambda kind, data: rows.append(data["row"]) if kind == "result" else None),
        lambda: None,
    )
    (opened,) = service.families._open.values()
    assert rows[0]["point"] == point_id(
        resolve(Recipe("task_arithmetic"), opened.family.names), opened.fingerprint
    )
