"""Bases in a workspace: found again by any process, and believed only as they were written."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import Cancelled
from engine.family.memory import basis_bytes
from engine.merging import bases as module
from engine.merging import low_rank, stored
from engine.merging.bases import Bases
from engine.merging.basis import Basis, Tensors
from engine.merging.checked_file import digest_file
from engine.method import METHODS, Names
from engine.recipe import Recipe, resolve

from .conftest import raw_tensors

SHAPES = {"a": (40, 30), "b": (7,), "none": (0, 4), "s": ()}


@pytest.fixture(autouse=True)
def of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST", 0)


@pytest.fixture
def tensors(tmp_path: Path) -> Iterator[Callable[..., Tensors]]:
    """Another process's view of the same family, each time it is called."""
    generator = torch.Generator().manual_seed(0)
    models = {
        name: {key: torch.randn(shape, generator=generator) for key, shape in SHAPES.items()}
        for name in ("base", "x", "y")
    }
    folder = tmp_path / "models"
    folder.mkdir()
    family = raw_tensors(folder, models).family
    yield lambda: Tensors(family, workspace=tmp_path)


def recipe(method: str, **parameters: Any) -> Recipe:
    return resolve(Recipe(method, {"x": 0.5, "y": 0.75}, parameters), Names(("x", "y")))


def merged(basis: Basis) -> list[torch.Tensor]:
    found = []
    for name in basis.tensors.names:
        found.append(torch.empty(basis.tensors.shape(name)))
        basis.combine(name, {"x": 0.5, "y": 0.75}, found[-1])
    return found


def same(one: Basis, other: Basis) -> bool:
    return all(torch.equal(a, b) for a, b in zip(merged(one), merged(other), strict=True))


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the methods whose basis was computed."""
    found: list[str] = []
    own = Bases._computed

    def spy(self: Bases, method: Any, structural: Any, keep: bool = True) -> Basis:
        found.append(method.name)
        return own(self, method, structural, keep)

    monkeypatch.setattr(Bases, "_computed", spy)
    return found


@pytest.mark.parametrize("method", ["ties", "pcb", "breadcrumbs", "dare", "compeft", "tsv", "rtsv"])
def test_another_process_finds_what_one_has_computed(
    method: str, tensors: Callable[..., Tensors], tmp_path: Path, built: list[str]
) -> None:
    first = Bases(tensors(), tmp_path).of(recipe(method))
    second = Bases(tensors(), tmp_path).of(recipe(method))
    assert built == [method]
    assert same(first, second) and first.bytes == second.bytes  # type: ignore[attr-defined]
    files = list((tmp_path / "bases").iterdir())
    assert sorted(each.suffix for each in files) == [".safetensors", ".sha256"]


def test_parameters_family_and_code_have_bases_of_their_own(
    tensors: Callable[..., Tensors],
    tmp_path: Path,
    built: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Bases(tensors(), tmp_path).of(recipe("ties"))
    Bases(tensors(), tmp_path).of(recipe("ties", strength=0.5))
    assert len(built) == 1
    Bases(tensors(), tmp_path).of(recipe("ties", density=0.5))
    assert len(built) == 2
    monkeypatch.setattr(stored, "_code", lambda: "other")
    Bases(tensors(), tmp_path).of(recipe("ties"))
    assert len(built) == 3


def test_what_needs_no_basis_leaves_nothing(
    tensors: Callable[..., Tensors], tmp_path: Path
) -> None:
    held = Bases(tensors(), tmp_path)
    for method in ("task_arithmetic", "linear"):
        held.of(recipe(method))
    held.of(recipe("ties"), keep=False)
    assert not (tmp_path / "bases").exists()


@pytest.mark.parametrize("harm", ["cut", "changed", "no digest", "foreign"])
def test_a_damaged_or_foreign_file_is_computed_again(
    harm: str,
    tensors: Callable[..., Tensors],
    tmp_path: Path,
    built: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = Bases(tensors(), tmp_path).of(recipe("ties"))
    [file] = (tmp_path / "bases").glob("*.safetensors")
    if harm == "cut":
        os.truncate(file, file.stat().st_size // 2)
    elif harm == "changed":
        data = bytearray(file.read_bytes())
        data[-3] ^= 1
        file.write_bytes(data)
    elif harm == "no digest":
        digest_file(file).unlink()
    else:
        Bases(tensors(), tmp_path).of(recipe("ties", density=0.5))
        [other] = set((tmp_path / "bases").glob("*.safetensors")) - {file}
        os.replace(other, file)
        os.replace(digest_file(other), digest_file(file))
    built.clear()
    with caplog.at_level(logging.WARNING):
        again = Bases(tensors(), tmp_path).of(recipe("ties"))
    assert built == ["ties"] and same(first, again)
    assert harm == "no digest" or "rebuilt" in caplog.text
    built.clear()
    assert same(first, Bases(tensors(), tmp_path).of(recipe("ties"))) and not built


@pytest.mark.parametrize(
    ("method", "other"),
    [
        ("ties", {"0.lengths": torch.tensor([3])}),
        ("tsv", {"0.0.left": torch.zeros(3, 2)}),
        ("tsv", {f"0.{n}.{side}": torch.zeros(2, 2) for n in (0, 1) for side in ("left", "right")}),
    ],
)
def test_a_basis_of_other_tensors_is_computed_again(
    method: str,
    other: dict[str, torch.Tensor],
    tensors: Callable[..., Tensors],
    tmp_path: Path,
    built: list[str],
) -> None:
    held = Bases(tensors(), tmp_path)
    held.of(recipe(method))
    [file] = (tmp_path / "bases").glob("*.safetensors")
    assert held._stored is not None
    held._stored.write(file, other)
    Bases(tensors(), tmp_path).of(recipe(method))
    assert built == [method, method]


def test_factors_too_large_to_multiply_are_found_again(
    tensors: Callable[..., Tensors],
    tmp_path: Path,
    built: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(low_rank, "PRODUCTS", 0)
    first = Bases(tensors(), tmp_path).of(recipe("tsv"))
    second = Bases(tensors(), tmp_path).of(recipe("tsv"))
    assert built == ["tsv"] and same(first, second)


def test_the_least_recently_used_makes_room(
    tensors: Callable[..., Tensors], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Bases(tensors(), tmp_path)
    held.of(recipe("ties", density=0.2))
    [first] = (tmp_path / "bases").glob("*.safetensors")
    os.utime(first, (1, 1))
    held.of(recipe("ties", density=0.3))
    [second] = set((tmp_path / "bases").glob("*.safetensors")) - {first}
    os.utime(second, (2, 2))
    Bases(tensors(), tmp_path).of(recipe("ties", density=0.2))  # used again
    size = first.stat().st_size
    monkeypatch.setattr(stored, "LIMIT", int(2.5 * size))
    held.of(recipe("ties", density=0.21))
    left = set((tmp_path / "bases").glob("*.safetensors"))
    assert first in left and second not in left and len(left) == 2
    assert not digest_file(second).exists()
    monkeypatch.setattr(stored, "LIMIT", size // 2)
    held.of(recipe("ties", density=0.22))  # too large by itself: nothing is given up for it
    assert set((tmp_path / "bases").glob("*.safetensors")) == left


def test_memory_is_bounded_by_bytes(
    tensors: Callable[..., Tensors], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Bases(tensors())
    kept = [held.of(recipe("ties", density=each / 10)) for each in range(1, 6)]
    again = [held.of(recipe("ties", density=each / 10)) for each in range(1, 6)]
    assert all(one is other for one, other in zip(kept, again, strict=True))
    monkeypatch.setattr(module, "available_memory", lambda: 0)
    last = held.of(recipe("ties", density=0.6))
    assert held.of(recipe("ties", density=0.6)) is last
    assert held.of(recipe("ties", density=0.1)) is not kept[0]


@pytest.mark.parametrize("method", ["ties", "pcb", "tsv"])
def test_what_has_no_room_is_computed_at_every_move(
    method: str,
    tensors: Callable[..., Tensors],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = Bases(tensors(), tmp_path).of(recipe(method))
    needed = basis_bytes(tensors().family)
    for there, room in ((needed, True), (needed - 1, False)):
        caplog.clear()
        monkeypatch.setattr(module, "available_memory", lambda there=there: there)
        with caplog.at_level(logging.WARNING):
            found = Bases(tensors()).of(recipe(method))
        assert hasattr(found, "bytes") == room == (not caplog.text)
        assert same(found, kept)


def test_a_stored_basis_needs_no_room_to_be_made(
    tensors: Callable[..., Tensors],
    tmp_path: Path,
    built: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = Bases(tensors(), tmp_path).of(recipe("pcb"))
    monkeypatch.setattr(module, "available_memory", lambda: 0)
    assert same(Bases(tensors(), tmp_path).of(recipe("pcb")), kept)
    assert built == ["pcb"]


def test_room_that_has_come_is_used(
    tensors: Callable[..., Tensors], built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Bases(tensors())
    monkeypatch.setattr(module, "available_memory", lambda: 0)
    first = held.of(recipe("ties"))
    assert held.of(recipe("ties")) is first and built == ["ties"]
    monkeypatch.setattr(module, "available_memory", lambda: 1 << 40)
    second = held.of(recipe("ties"))
    assert hasattr(second, "bytes") and not hasattr(first, "bytes") and same(first, second)
    assert held.of(recipe("ties")) is second


def test_a_process_waits_for_the_one_that_computes(
    tensors: Callable[..., Tensors], tmp_path: Path, built: list[str]
) -> None:
    first = Bases(tensors(), tmp_path)
    assert first._stored is not None
    file = first._stored.file("ties", METHODS["ties"].structural(recipe("ties").parameters))
    file.parent.mkdir()
    lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)  # another process
    waited = threading.Event()
    own = tensors()
    own.tick = waited.set
    found: list[Basis] = []
    waiting = threading.Thread(target=lambda: found.append(Bases(own, tmp_path).of(recipe("ties"))))
    waiting.start()
    assert waited.wait(30) and not built
    with_it = Bases(tensors()).of(recipe("ties"))
    first._stored.write(file, with_it.stored())  # type: ignore[attr-defined]
    os.close(lock)
    waiting.join(30)
    assert built == ["ties"] and same(found[0], with_it)  # once, by the other


def test_a_job_within_a_tick_does_not_wait_for_the_one_around_it(
    tensors: Callable[..., Tensors], tmp_path: Path, built: list[str]
) -> None:
    own = tensors()
    held = Bases(own, tmp_path)
    inner: list[Basis] = []

    def tick() -> None:
        if held.preparing and not inner:
            inner.append(own)  # type: ignore[arg-type]
            inner[0] = held.of(recipe("ties"))

    own.tick = tick
    assert same(held.of(recipe("ties")), inner[0])
    assert not list((tmp_path / "bases").glob("*.lock"))


def test_a_cancel_within_a_tensor_leaves_nothing(
    tensors: Callable[..., Tensors], tmp_path: Path, built: list[str]
) -> None:
    own = tensors()
    held = Bases(own, tmp_path)

    def cancel() -> None:
        if own.seen:
            raise Cancelled("cancelled")

    own.tick = cancel
    with pytest.raises(Cancelled):
        held.of(recipe("pcb"))
    assert not held.preparing and not list((tmp_path / "bases").iterdir())
    own.tick = lambda: None
    assert held.of(recipe("pcb")) is held.of(recipe("pcb"))


@pytest.mark.parametrize("method", ["ties", "pcb", "compeft", "breadcrumbs", "tsv", "rtsv"])
def test_what_is_prepared_is_told_in_percent(
    method: str, tensors: Callable[..., Tensors], monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.merging import basis, selection

    monkeypatch.setattr(basis, "CHUNK", 100)
    monkeypatch.setattr(selection, "HELD", 0)
    own = tensors()
    held = Bases(own)
    said: list[str] = []
    own.tick = lambda: said.append(held.preparing)
    held.of(recipe(method))
    assert not held.preparing
    parts = [int(each.removeprefix(f"preparing {method}: ").removesuffix(" %")) for each in said]
    assert parts == sorted(parts) and 0 <= parts[0] < 60 and parts[-1] >= 90
