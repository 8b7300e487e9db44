"""Files of others: what is read of them, what is refused, and what an objective takes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cache.arrow import pa, pq
from engine.errors import BadInput
from engine.study import Direction, Objective
from studio.external.lm_eval import read_lm_eval
from studio.external.mapping import mapped, read
from studio.external.points import Score

GOLDEN = Path(__file__).parents[2] / "golden" / "lm_eval" / "run"
PICK = Objective("pick", "choice", direction="maximize")
LOSS = Objective("loss", "nll", direction="minimize")


def scores(
    path: Path, given: Mapping[str, str] | None = None, **directions: Direction
) -> dict[str, dict[str, Score]]:
    return mapped(read(path), (PICK, LOSS), given or {}, directions)


def refusal(path: Path, given: Mapping[str, str] | None = None, **directions: Direction) -> str:
    with pytest.raises(BadInput) as caught:
        scores(path, given, **directions)
    return str(caught.value)


def results(path: Path, metrics: Mapping[str, Any], **more: Any) -> Path:
    """A results file of one task, `arc`, written here."""
    path.write_text(json.dumps({"results": {"arc": metrics}, "model_name": "org/rival", **more}))
    return path


@pytest.fixture
def golden() -> Path:
    """What lm-eval 0.4.13 itself wrote (tests/differential/lm_eval_run.py)."""
    [found] = GOLDEN.glob("results_*.json")
    return found


def test_a_run_of_lm_eval_is_read_as_it_says(golden: Path) -> None:
    [[name, found]] = scores(golden, {"pick": "paretoscope_choice:acc"}).items()
    said = json.loads(golden.read_text())
    metrics = said["results"]["paretoscope_choice"]
    score = found["pick"]
    assert name == said["model_name"] == "dummy"
    assert (score.mean, score.stderr) == (metrics["acc,none"], metrics["acc_stderr,none"])
    assert score.n == said["n-samples"]["paretoscope_choice"]["effective"] == 7
    assert (score.form, score.value) == ("lm-eval 0.4.13", "paretoscope_choice:acc,none")
    assert score.sha256 and score.file == str(golden.absolute())


def test_samples_give_the_error_that_the_aggregate_lacks(golden: Path, tmp_path: Path) -> None:
    said = json.loads(golden.read_text())
    metrics = said["results"]["paretoscope_choice"]
    metrics["acc_stderr,none"], known = "N/A", metrics["acc_stderr,none"]
    [samples] = GOLDEN.glob("samples_*.jsonl")
    (tmp_path / golden.name).write_text(json.dumps(said))
    given = {"pick": "paretoscope_choice:acc"}
    assert scores(tmp_path / golden.name, given)["dummy"]["pick"].stderr is None
    (tmp_path / samples.name).write_bytes(samples.read_bytes())
    (tmp_path / "results.json").write_text(json.dumps(said))
    assert scores(tmp_path / "results.json", given)["dummy"]["pick"].stderr == pytest.approx(known)


def test_samples_of_another_run_are_refused(golden: Path, tmp_path: Path) -> None:
    said = json.loads(golden.read_text())
    metrics = said["results"]["paretoscope_choice"]
    metrics["acc,none"] = 1.0 - metrics["acc,none"]
    (tmp_path / "results.json").write_text(json.dumps(said))
    [samples] = GOLDEN.glob("samples_*.jsonl")
    (tmp_path / samples.name).write_bytes(samples.read_bytes())
    assert "its samples average" in refusal(
        tmp_path / "results.json", {"pick": "paretoscope_choice:acc"}
    )


UP = {"higher_is_better": {"arc": {"acc": True, "acc_norm": True}}}


@pytest.mark.parametrize(
    ("metrics", "more", "said"),
    [
        ({"acc,none": 0.5, "acc_norm,none": 0.6}, UP, "arc may be arc:acc,none, arc:acc_norm,none"),
        ({"acc,none": 0.5}, {}, "does not say whether more is better"),
        ({"acc,none": 0.5}, {"higher_is_better": {"arc": {"acc": None}}}, "does not say whether"),
        ({"acc,none": 0.5}, {"higher_is_better": {"arc": {"acc": False}}}, "it is to minimize"),
        ({"acc,none": 57.0}, UP, "Divide percent by 100"),
        ({"acc,none": -0.1}, UP, "no share of examples"),
        ({"acc,none": 0.5, "acc_stderr,none": -1}, UP, "below 0"),
        ({"acc,none": 0.5, "acc_stderr,none": 2.0}, UP, "impossible for a share"),
        ({"acc,none": 0.5, "acc_stderr,none": "0.1"}, UP, "not a finite number"),
        ({"acc,none": 0.5, "sample_len": 2.5}, UP, "It must be a whole number"),
        ({"acc,none": math.nan}, UP, "not a finite number"),
        ({"alias": "arc"}, UP, "no file has pick=arc"),
    ],
)
def test_what_lm_eval_does_not_say_or_says_wrongly_is_refused(
    tmp_path: Path, metrics: Mapping[str, Any], more: Mapping[str, Any], said: str
) -> None:
    assert said in refusal(results(tmp_path / "results.json", metrics, **more), {"pick": "arc"})


def test_a_direction_that_a_file_lacks_can_be_said_and_no_other(tmp_path: Path) -> None:
    path = results(tmp_path / "results.json", {"acc,none": 0.5, "other,none": math.nan})
    [found] = scores(path, {"pick": "arc:acc"}, pick="maximize").values()
    assert found["pick"].mean == 0.5 and found["pick"].n is None
    assert "it is to minimize" in refusal(path, {"pick": "arc:acc"}, pick="minimize")


def test_a_direction_other_than_the_one_a_file_says_is_refused(tmp_path: Path) -> None:
    more = {"higher_is_better": {"arc": {"acc": True}}}
    path = results(tmp_path / "results.json", {"acc,none": 0.5}, **more)
    assert "the file says to maximize" in refusal(path, {"pick": "arc:acc"}, pick="minimize")


@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"results": {}}', '{"results": {"a": 1}}'])
def test_a_file_that_is_no_results_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(BadInput, match=r"results\.json"):
        read_lm_eval(tmp_path / "results.json")


TABLE = {
    "model": ["rival", "other"], "pick": [0.8, 0.7], "pick stderr": [0.05, None],
    "pick n": [60, None], "nats": [1.25, None], "note": ["a", "b"],
}  # fmt: skip


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_table_gives_a_model_a_row(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"table{ending}"
    if ending == ".csv":
        rows = zip(*([name, *map(_cell, column)] for name, column in TABLE.items()), strict=True)
        path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    else:
        pq.write_table(pa.table(TABLE), path)
    found = scores(path, {"loss": "nats"})
    assert list(found) == ["rival", "other"]
    rival, other = found["rival"], found["other"]
    assert (rival["pick"].mean, rival["pick"].stderr, rival["pick"].n) == (0.8, 0.05, 60)
    assert (rival["loss"].mean, rival["loss"].value) == (1.25, "nats")
    assert (other["pick"].stderr, other["pick"].n, list(other)) == (None, None, ["pick"])
    assert rival["pick"].form == ending.removeprefix(".").capitalize().replace("Csv", "CSV")


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model,pick\na,0.5\na,0.6\n", "two rows are of 'a'"),
        ("model,pick\na,many\n", "table.csv:2: pick: the score is 'many'"),
        ("model,pick\na,inf\n", "not a finite number"),
        ("model,pick\na,80\n", "Divide percent by 100"),
        ("model,pick,pick n\na,0.5,0\n", "1 or more"),
        ("model,pick\na\n", "1 cell, but the header has 2"),
        ("model,pick,pick\na,1,1\n", "two columns are named 'pick'"),
        ("model,loss\na,-1\n", "below 0"),
        ("model,speed\na,1\n", "no score of pick, loss for a"),
        ("model,pick\n", "it has no rows"),
        ("", "the file is empty"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    assert said in refusal(path)


def test_another_ending_and_no_parquet_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "a.txt").write_text("model,pick\n")
    assert "not Parquet" in refusal(tmp_path / "a.parquet")
    assert "no format that can be read" in refusal(tmp_path / "a.txt")
    assert "no such file" in refusal(tmp_path / "b.csv")
