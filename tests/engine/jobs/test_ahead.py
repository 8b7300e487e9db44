"""Texts of logit-space recipes that are written together before each has its turn: the same rows
as one by one, and the models do not run again."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.decoding import grid
from engine.decoding.batch import Batch
from engine.errors import Cancelled
from engine.jobs import ahead
from engine.jobs.evaluating import Evaluation
from engine.jobs.service import Service
from engine.scoring import ahead as scoring_ahead
from engine.worker.messages import Answer, Job
from tests.engine.jobs.small import build_small_study, recipe

OBJECTIVES = (
    {"name": "has", "data": "rows.jsonl", "scorer": "contains", "max_new_tokens": 6,
     "report_fraction": 0.0, "stop": ["."]},
    {"name": "sampled", "data": "rows.jsonl", "scorer": "contains", "max_new_tokens": 5,
     "report_fraction": 0.0, "temperature": 0.8, "seed": 3},
    {"name": "nucleus", "data": "rows.jsonl", "scorer": "contains", "max_new_tokens": 4,
     "report_fraction": 0.0, "temperature": 0.8, "top_p": 0.9},
    {"name": "drift", "data": "rows.jsonl", "scorer": "kl_to_base", "max_new_tokens": 6,
     "report_fraction": 0.0, "stop": ["."]},
    {"name": "loss", "data": "rows.jsonl", "scorer": "nll"},
)  # fmt: skip


def fused(method: str, parameters: dict[str, Any] | None = None, **coefficients: float) -> Any:
    extra = {"parameters": parameters} if parameters else {}
    return {"method": method, "coefficients": coefficients, **extra}


STEERED = [fused("proxy_tuning", helpful=n / 4, terse=1.1 - n / 5) for n in range(1, 7)]
CLOSE = [fused("proxy_tuning", helpful=0.5 + n / 50, terse=0.5) for n in range(6)]
OTHERS = [
    fused("logit_fusion", {"kind": "forward_kl"}, base=0.5, helpful=0.3, terse=0.2),
    fused("logit_fusion", {"kind": "forward_kl"}, base=0.2, helpful=0.7, terse=0.1),
    fused("logit_fusion", {"kind": "alpha"}, base=0.2, helpful=0.7, terse=0.1),
    fused("gated", threshold=2.0, helpful=1.0),
    fused("gated", threshold=3.0, helpful=1.0),
    fused("dynamic_fusion", helpful=1.0),
    fused("proxy_tuning", helpful=0.5),
    recipe(helpful=0.5),
]


class Bench:
    """A service called directly, with what it emits; claims are granted unless `taken`."""

    def __init__(self, study: Path, workspace: Path) -> None:
        self.study = str(study)
        self.service = Service(workspace, "cpu")
        self.rows: list[dict[str, Any]] = []
        self.said: list[dict[str, Any]] = []
        self.tick: Callable[[], None] = lambda: None
        self.taken: set[str] = set()
        self.there: set[str] = set()
        self.asked = 0

    def __call__(self, kind: str, data: Any = None) -> None:
        if kind == "result":
            self.rows.append(data["row"])
        if kind == "progress":
            self.said.append(data)

    def claim(self, wanted: Sequence[Collection[str]], tick: Callable[[], None]) -> Answer:
        elsewhere: set[str] = set()
        for group in wanted:
            left = set(group) - self.there
            elsewhere |= left & self.taken
            if granted := frozenset(left - self.taken):
                return Answer(granted, frozenset(self.there), frozenset(elsewhere))
        self.there |= self.taken  # the other process has measured them meanwhile
        return Answer(frozenset(), frozenset(self.there), frozenset(elsewhere))

    def sweep(self, recipes: Sequence[Any], **payload: Any) -> Any:
        self.rows, self.said = [], []
        job = Job("sweep", {"study": self.study, "recipes": list(recipes), **payload}, "s", "sweep")
        return self.service.run(job, self, lambda: self.tick())

    def found(self) -> dict[str, tuple[Any, ...]]:
        """Of each row what does not depend on the clock, with its texts."""
        kept = ("recipe", "objective", "mean", "stderr", "n", "low", "high", "tokens", "values")
        blobs = self.service.blobs
        return {
            row["id"]: (
                *(row[name] for name in kept),
                row["texts"] and json.loads(blobs.get_text(row["texts"]) or ""),
            )
            for row in self.rows
        }


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("family")
    return build_small_study(root, adapter=True, objectives=OBJECTIVES)


@pytest.fixture
def bench(study: Path, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(study, tmp_path)
    yield made
    made.service.close()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many mixtures were written together, each time."""
    counts: list[int] = []
    write = scoring_ahead.write_ahead

    def counted(prefixes: Any, model: Any, mixtures: Any, *rest: Any, **options: Any) -> grid.Fed:
        counts.append(len(mixtures))
        return write(prefixes, model, mixtures, *rest, **options)

    monkeypatch.setattr(scoring_ahead, "write_ahead", counted)
    return counts


def test_rows_and_texts_are_those_of_one_by_one(
    bench: Bench, study: Path, tmp_path: Path, written: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = [*STEERED, *OTHERS]
    assert bench.sweep(recipes)["errors"] == {}
    together = bench.found()
    assert len(together) == len(recipes) * len(OBJECTIVES)
    assert written == [5, 5, 3, 3]  # the first goes by itself; `drift` reads the texts of `has`
    assert len({str(each) for each in together.values()}) > 30
    assert all(row["seconds"] > 0 for row in bench.rows)
    monkeypatch.setattr(ahead.Ahead, "begin", lambda *_: 0)
    other = Bench(study, tmp_path / "other")
    other.sweep(recipes)
    assert other.found() == together
    other.service.close()
    assert written == [5, 5, 3, 3]


def test_in_its_turn_no_model_writes(
    bench: Bench, written: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[bool] = []
    run, began = Batch._run, []
    rows = Evaluation.rows

    def counted(self: Batch, *args: Any) -> Any:
        fed.append(bool(began))
        return run(self, *args)

    def in_turn(*args: Any) -> Any:
        began.append(True)
        yield from rows(*args)
        began.pop()

    monkeypatch.setattr(Batch, "_run", counted)
    monkeypatch.setattr(Evaluation, "rows", in_turn)
    bench.sweep(STEERED, objectives=["has", "sampled"])
    assert written == [5, 5]
    own = fed.index(False)
    assert own > 0 and fed == [True] * own + [False] * (len(fed) - own)


def test_it_says_what_it_does(bench: Bench) -> None:
    bench.sweep(STEERED, objectives=["has"])
    [*told] = [each for each in bench.said if "ahead" in each]
    assert {each["stage"] for each in told} == {"writing the texts of 5 points together"}
    assert {(each["done"], each["index"], each["ahead"]) for each in told} == {(1, 1, 5)}
    assert told[0]["of_rows"] == 12
    assert bench.said[-1] == {"done": 6, "total": 6}


def test_what_others_measure_is_not_written(bench: Bench, written: list[int]) -> None:
    bench.sweep(STEERED, objectives=["has"])
    ids = [row["id"] for row in bench.rows]
    written.clear()
    bench.taken = set(ids[2:4])
    bench.sweep(STEERED, objectives=["has"], have=[ids[5]])
    assert written == [2]
    assert [row["id"] for row in bench.rows] == [ids[0], ids[1], ids[4]]


def test_only_as_many_as_can_be_kept(
    bench: Bench, written: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[float] = []
    part = scoring_ahead.Plan.part

    def seen(self: Any, *args: Any) -> float:
        sizes.append(part(self, *args))
        return 0.3

    monkeypatch.setattr(scoring_ahead.Plan, "part", seen)
    bench.sweep(CLOSE, objectives=["has"])
    assert written == [3, 2]
    # 12 prompts, 6 tokens, 3 models of width 32 in float32, of 128 MB; then by how many differed
    assert sizes[0] == pytest.approx(12 * 6 * 3 * 32 * 4 * 2 / (256 << 20))
    assert sizes[-1] < sizes[0]


@pytest.mark.parametrize("planted", [MemoryError("planted"), RuntimeError("planted")])
def test_where_it_fails_each_is_written_by_itself(
    bench: Bench, planted: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise planted

    monkeypatch.setattr(scoring_ahead, "write_ahead", fail)
    assert bench.sweep(STEERED, objectives=["has"])["errors"] == {}
    assert len(bench.rows) == 6 and all(row["mean"] is not None for row in bench.rows)


def test_a_cancel_ends_it_and_what_was_measured_stands(bench: Bench) -> None:
    def tick() -> None:
        if any("ahead" in each for each in bench.said):
            raise Cancelled("cancelled")

    bench.tick = tick
    with pytest.raises(Cancelled):
        bench.sweep(STEERED, objectives=["has"])
    assert len(bench.rows) == 1


def test_rows_of_a_batch_are_bounded(
    bench: Bench, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts that are given up go on in their own turn."""
    bench.sweep(STEERED, objectives=["has", "sampled"])
    monkeypatch.setattr(grid, "ROWS", 1)
    sizes: list[int] = []
    feed = Batch.feed_apart

    def seen(self: Batch, ids: Any, keep: int = 1) -> Any:
        sizes.append(len(ids))
        return feed(self, ids, keep)

    monkeypatch.setattr(Batch, "feed_apart", seen)
    other = Bench(study, tmp_path / "other")
    other.sweep(STEERED, objectives=["has", "sampled"])
    assert other.found() == bench.found()
    other.service.close()
    assert max(sizes) == 12
