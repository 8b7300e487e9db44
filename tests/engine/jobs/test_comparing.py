"""Answers side by side: the texts of separate jobs, columns that fail, columns in turns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.compose import Composer
from engine.decoding.batch import Batch
from engine.errors import BadInput, Cancelled, JobFailed
from engine.jobs import comparing
from engine.jobs.inline import InlineExecutor
from engine.jobs.service import Service
from engine.merging.stacked import NotByRow
from engine.worker.messages import Job
from tests.engine.jobs.small import build_small_study, recipe, single

RECIPES = [
    single("base"),
    recipe(helpful=0.5),
    {"method": "pcb", "coefficients": {"helpful": 1.2}},
    recipe(terse=0.7),
    recipe(terse=1.4),
    {"method": "proxy_tuning", "coefficients": {"helpful": 1.0}},
]
"""Plain, merged on two bases, adapters alone, fused: every kind of live state, some twice."""

PROMPTS = ["the quick", "a kind answer", "why"]


class Bench:
    """A service called directly, with what it emits."""

    def __init__(self, study: Path, workspace: Path) -> None:
        self.study = str(study)
        self.service = Service(workspace, "cpu")
        self.texts: dict[str, str] = {}
        self.said: list[dict[str, Any]] = []
        self.ticks = 0
        self.cancel_at: int | None = None

    def emit(self, kind: str, data: Any = None) -> None:
        if kind == "text":
            self.texts.update(data["texts"])
        if kind == "progress":
            self.said.append(data)

    def tick(self) -> None:
        self.ticks += 1
        if self.ticks == self.cancel_at:
            raise Cancelled("cancelled")

    def run(self, kind: str, **payload: Any) -> Any:
        self.texts, self.said, self.ticks = {}, [], 0
        job = Job(kind, {"study": self.study, "prompts": PROMPTS, **payload})
        return self.service.run(job, self.emit, self.tick)

    def alone(self, recipes: list[Any], **payload: Any) -> list[Any]:
        found = [self.run("generate", recipe=each, **payload) for each in recipes]
        return [[(o["text"], o["token_ids"]) for o in each["outputs"]] for each in found]


@pytest.fixture(scope="module")
def study(tmp_path_factory: Any) -> Path:
    return build_small_study(tmp_path_factory.mktemp("family"), adapter=True)


@pytest.fixture(scope="module")
def bench(study: Path, tmp_path_factory: Any) -> Iterator[Bench]:
    bench = Bench(study, tmp_path_factory.mktemp("workspace"))
    yield bench
    bench.service.close()


def together(result: Any) -> list[Any]:
    return [[(o["text"], o["token_ids"]) for o in each["outputs"]] for each in result["columns"]]


@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 1.5, "top_p": 0.95, "seed": 7}], ids=["greedy", "sampled"]
)
def test_columns_answer_as_each_alone(
    bench: Bench, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings |= {"max_new_tokens": 12, "stop": ["q"]}
    alone = bench.alone(RECIPES, **settings)
    assert len({str(each) for each in alone}) == len(RECIPES), "recipes that answer alike"
    flat = [text for column in alone for text, _ in column]
    for turn in (0.0, comparing.TURN):  # weights written anew at every step, and now and then
        monkeypatch.setattr(comparing, "TURN", turn)
        result = bench.run("compare", recipes=RECIPES, **settings)
        assert together(result) == alone
        assert bench.texts == {str(index): text for index, text in enumerate(flat)}
        assert all(each["error"] is None for each in result["columns"])


def test_all_columns_write_before_one_is_done(bench: Bench) -> None:
    bench.run("compare", recipes=RECIPES, max_new_tokens=16)
    states = [each["columns"] for each in bench.said]
    assert states[0] == ["waiting"] * len(RECIPES)
    assert ["writing"] * len(RECIPES) in states
    assert states[-1] == ["done"] * len(RECIPES) and bench.said[-1]["done"] == len(RECIPES)


def test_a_model_as_it_is_writes_before_a_basis_is_made(bench: Bench) -> None:
    bench.run("compare", recipes=[RECIPES[2], RECIPES[0]], max_new_tokens=4)
    states = [each["columns"] for each in bench.said]
    assert states[:3] == [["waiting", "waiting"], ["waiting", "writing"], ["writing", "writing"]]


def test_another_seed_gives_other_texts_and_the_same_one_the_same(bench: Bench) -> None:
    one, two, three = (
        together(
            bench.run("compare", recipes=RECIPES[:2], temperature=1.0, seed=s, max_new_tokens=8)
        )
        for s in (1, 2, 1)
    )
    assert one == three and one != two


def test_how_an_answer_ended_is_told(bench: Bench) -> None:
    result = bench.run("compare", recipes=[single("base")], max_new_tokens=3)
    outputs = result["columns"][0]["outputs"]
    assert {each["ended"] for each in outputs} <= {"length", "end"}
    assert all(len(each["token_ids"]) == 3 for each in outputs if each["ended"] == "length")


def test_conversations_are_prompts_too(study: Path, bench: Bench) -> None:
    messages = [{"role": "user", "content": "the quick"}]
    result = bench.run("compare", recipes=[single("base")], prompts=[messages], max_new_tokens=4)
    plain = bench.run(
        "compare", recipes=[single("base")], prompts=["the quick"], chat=True, max_new_tokens=4
    )
    assert together(result) == together(plain)


ADDED = [recipe(terse=0.7), single("base"), recipe(terse=1.4), recipe(terse=-1.0)]


@pytest.fixture
def batched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many recipes each composed batch of several was of."""
    found: list[int] = []
    own = Composer.compose_rows

    def spy(self: Composer, recipes: Any, tick: Any) -> Any:
        found.append(len(recipes))
        return own(self, recipes, tick)

    monkeypatch.setattr(Composer, "compose_rows", spy)
    return found


@pytest.mark.parametrize("settings", [{}, {"temperature": 1.2, "seed": 3}], ids=["greedy", "drawn"])
def test_columns_of_adapters_write_together_while_they_are_few(
    bench: Bench, batched: list[int], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings |= {"max_new_tokens": 12, "stop": ["q"]}
    alone = bench.alone(ADDED, **settings)
    assert not batched
    for limit, wanted in ((9, [3]), (8, [])):  # three columns of three prompts
        batched.clear()
        monkeypatch.setattr(comparing, "TOGETHER", limit)
        assert together(bench.run("compare", recipes=ADDED, **settings)) == alone
        assert bench.texts == {
            str(index): text
            for index, (text, _) in enumerate(each for column in alone for each in column)
        }
        assert batched == wanted


@pytest.mark.parametrize("after", [0, 5])
def test_columns_that_cannot_write_together_begin_anew(
    bench: Bench, batched: list[int], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    own, begun = comparing.steps, []

    def failing(*arguments: Any, owners: Any = None, **settings: Any) -> Any:
        loop, count = own(*arguments, owners=owners, **settings), 0
        begun.append(owners is not None)
        while True:
            if owners is not None and count == after:
                raise NotByRow("experts are given tokens")
            try:
                yield next(loop)
            except StopIteration as end:
                return end.value
            count += 1

    alone = bench.alone(ADDED, max_new_tokens=12)
    monkeypatch.setattr(comparing, "steps", failing)
    result = bench.run("compare", recipes=ADDED, max_new_tokens=12)
    assert batched == [3] and begun.count(True) == 1 and begun.count(False) == 4
    assert together(result) == alone
    assert bench.said[-1]["columns"] == ["done"] * 4
    texts = [text for column in alone for text, _ in column]
    assert bench.texts == {str(index): text for index, text in enumerate(texts)}


def test_a_column_that_fails_leaves_the_others(bench: Bench) -> None:
    recipes = [recipe(helpful=0.5), recipe(helpful=1e39), recipe(nobody=1.0), single("helpful")]
    result = bench.run("compare", recipes=recipes, max_new_tokens=6)
    errors = [each["error"] for each in result["columns"]]
    assert errors[0] is None and errors[3] is None
    assert "nobody" in errors[2] and errors[1]
    assert [len(each["outputs"]) for each in result["columns"]] == [3, 0, 0, 3]
    assert bench.said[-1]["columns"] == ["done", "failed", "failed", "done"]
    assert set(bench.said[-1]["errors"]) == {"1", "2"}
    assert together(result)[0] == bench.alone([recipes[0]], max_new_tokens=6)[0]


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        ({"recipes": []}, "no recipes"),
        ({"recipes": [recipe(nobody=1.0)]}, "nobody"),
        ({"recipes": [single("base")], "prompts": []}, "no prompt"),
        ({"recipes": [single("base")], "prompts": [{"role": "user"}]}, "lists of messages"),
        ({"recipes": [single("base")], "temperature": -1}, "sampl"),
        ({"recipes": [single("base")], "stop": [""]}, "empty string"),
        ({"recipes": [single("base")], "max_new_tokens": 0}, "max_new_tokens"),
        ({"recipes": [single("base"), single("helpful")], "prompts": ["a " * 5000]}, "positions"),
    ],
)
def test_what_cannot_be_asked_is_said(bench: Bench, payload: Any, what: str) -> None:
    with pytest.raises(BadInput, match=what):
        bench.run("compare", **payload)


def test_a_cancel_ends_it_at_any_tick_and_nothing_lingers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # turns last as long as rewriting takes; under a clock that stands still, a step: always as many
    monkeypatch.setattr("engine.jobs.comparing.time", SimpleNamespace(perf_counter=lambda: 0.0))
    recipes = [RECIPES[1], RECIPES[2], RECIPES[3]]
    want = bench.alone(recipes, max_new_tokens=6)
    bench.run("compare", recipes=recipes, max_new_tokens=6)
    last = bench.ticks
    for at in (1, 2, last // 2, last):
        bench.cancel_at = at
        with pytest.raises(Cancelled):
            bench.run("compare", recipes=recipes, max_new_tokens=6)
    bench.cancel_at = None
    assert together(bench.run("compare", recipes=recipes, max_new_tokens=6)) == want


def test_a_sweep_parked_for_a_comparison_scores_as_one_alone(study: Path, tmp_path: Path) -> None:
    rows: list[Any] = []
    swept = [recipe(helpful=0.5), recipe(terse=0.7), recipe(helpful=0.8, terse=0.2)] * 3
    with InlineExecutor(tmp_path, device="cpu", on_rows=rows.extend) as executor:

        def submit(kind: str, priority: Any, **payload: Any) -> Any:
            return executor.submit(Job(kind, {"study": str(study), **payload}, kind, priority))

        submit("sweep", "sweep", recipes=swept).result(60)
        alone = [row["values"] for row in rows]
        rows.clear()
        asked = {"recipes": RECIPES[1:4], "prompts": PROMPTS, "max_new_tokens": 8}
        quiet = submit("compare", "interactive", **asked).result(60)
        sweep = submit("sweep", "sweep", recipes=swept)
        assert submit("compare", "interactive", **asked).result(60) == quiet
        assert not sweep.status().over
        sweep.result(60)
    assert [row["values"] for row in rows] == alone


def test_memory_that_ran_out_ends_the_job(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(Composer, "compose", hungry)
    payload = {"study": str(study), "recipes": [single("base")], "prompts": ["why"]}
    with (
        InlineExecutor(tmp_path, device="cpu", on_rows=lambda rows: None) as executor,
        pytest.raises(JobFailed, match="out of memory"),
    ):
        executor.submit(Job("compare", payload)).result(60)


def test_strengths_that_were_chosen_token_by_token_come_with_the_answers(bench: Bench) -> None:
    given = {"method": "dynamic_fusion", "coefficients": {"helpful": 1.0, "terse": 1.0}}
    [alone] = [bench.run("generate", recipe=given, max_new_tokens=6)]
    result = bench.run("compare", recipes=[given, recipe(helpful=0.5)], max_new_tokens=6)
    steered, plain = (each["outputs"] for each in result["columns"])
    for one, other in zip(steered, alone["outputs"], strict=True):
        assert one["strengths"] == other["strengths"]
        assert [*one["strengths"]] == ["helpful", "terse"]
        assert [len(each) for each in one["strengths"].values()] == [len(one["token_ids"])] * 2
    assert any(value for one in steered for value in one["strengths"]["helpful"])
    assert all("strengths" not in each for each in plain)


FUSED = [
    {"method": "proxy_tuning", "coefficients": {"helpful": 0.4 + n / 2, "terse": 0.5}}
    for n in range(3)
]


@pytest.mark.parametrize("settings", [{}, {"temperature": 1.2, "seed": 3}], ids=["greedy", "drawn"])
def test_columns_that_mix_the_same_models_are_one_batch(
    bench: Bench, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """Where nothing was answered yet: a forward of each model a step, and distinct rows alone."""
    settings |= {"max_new_tokens": 12, "stop": ["q"]}
    recipes = [FUSED[0], single("base"), *FUSED[1:], fusion(terse=0.5), fusion(terse=0.2)]
    alone = bench.alone(recipes, **settings)
    fresh, rows = Bench(study, tmp_path), []
    feed = Batch.feed_apart

    def seen(self: Batch, ids: torch.Tensor, keep: int = 1) -> Any:
        rows.append(len(ids))
        return feed(self, ids, keep)

    monkeypatch.setattr(Batch, "feed_apart", seen)
    result = fresh.run("compare", recipes=recipes, **settings)
    steps = len(rows)
    assert together(result) == alone
    flat = [text for column in alone for text, _ in column]
    assert fresh.texts == {str(index): text for index, text in enumerate(flat)}
    assert steps <= 3 * 11 and max(rows) > 3  # of base, of one method, and of the other
    again = fresh.run("compare", recipes=recipes, **settings)
    assert together(again) == alone and len(rows) <= steps + 11  # replayed, but for base
    fresh.service.close()


def fusion(**coefficients: float) -> dict[str, Any]:
    rest = {"base": 0.3, "helpful": 0.4}
    return {"method": "logit_fusion", "coefficients": rest | coefficients}


def test_a_fused_column_that_fails_leaves_those_beside_it(study: Path, tmp_path: Path) -> None:
    fresh = Bench(study, tmp_path)
    large = {"method": "proxy_tuning", "coefficients": {"helpful": 3e38, "terse": 0.5}}
    result = fresh.run("compare", recipes=[FUSED[0], large, FUSED[1]], max_new_tokens=6)
    errors = [each["error"] for each in result["columns"]]
    assert errors[0] is None and errors[2] is None and "overflows" in errors[1]
    assert together(result)[::2] == fresh.alone(FUSED[:2], max_new_tokens=6)
    fresh.service.close()
