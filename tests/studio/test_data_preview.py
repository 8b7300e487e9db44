"""What the form of an objective shows of a data file, and what its choices amount to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.study_data import data_options
from engine.study_file import Reader
from studio.data_preview import Seen, chosen_columns, see
from tests.engine.scoring.published import ARC, GSM8K, HELLASWAG, XSTEST, write


def seen(folder: Path, suffix: str, records: Any, scorer: str, **keys: Any) -> Seen:
    path = write(folder, suffix, records)
    found = see({"name": "", "scorer": scorer, "data": path.name, **keys}, folder / "study.yaml")
    assert found is not None
    return found


def test_a_shape_is_shown_with_its_rows(tmp_path: Path) -> None:
    found = seen(tmp_path, ".parquet", HELLASWAG, "choice")
    assert found.sentence.startswith("Parquet, 2 rows, read as HellaSwag: prompt = ctx")
    assert found.names == ("ind", "ctx", "endings", "label") and not found.problems
    assert found.table[0] == {
        "row": 1, "prompt": "A man opens a book. He", "answer": "reads it.",
        "choices": "sails off. | reads it. | flies. | sings.",
    }  # fmt: skip
    assert found.mapping["columns"] == {"prompt": "ctx", "choices": "endings", "answer": "label"}
    assert "choices.text" in seen(tmp_path, ".jsonl", ARC, "choice").columns


def test_rows_can_be_chosen_by_their_values(tmp_path: Path) -> None:
    found = seen(tmp_path, ".csv", XSTEST, "refusal")
    assert found.values["label"] == ("safe", "unsafe") and len(found.table) == 2
    options = chosen_columns({"prompt": [], "rows": {"label": ["safe"]}}, found.mapping)
    assert options == {"rows": {"label": "safe"}}
    assert len(seen(tmp_path, ".csv", XSTEST, "refusal", **options).table) == 1


def test_what_is_not_certain_is_said_with_the_columns_to_choose(tmp_path: Path) -> None:
    rows = [{"question": "a", "query": "b", "answer": "c"}]
    found = seen(tmp_path, ".json", rows, "nll")
    assert not found.table and found.columns == ("question", "query", "answer")
    assert len(found.problems) == 1 and "ambiguous" in found.problems[0].what
    options = chosen_columns({"prompt": ["query"], "targets": ["answer"]}, found.mapping)
    assert options == {"columns": {"prompt": "query", "target": "answer"}}
    assert seen(tmp_path, ".json", rows, "nll", **options).table[0]["prompt"] == "b"


def test_choices_replace_what_was_recognised_and_keep_the_rest(tmp_path: Path) -> None:
    found = seen(tmp_path, ".jsonl", GSM8K, "exact_match")
    assert [row["target"] for row in found.table] == ["42", "1,021"]
    options = chosen_columns({"prompt": ["answer", "question"]}, found.mapping)
    assert options["columns"] == {"target": "answer", "prompt": ["answer", "question"]}
    assert options["target_pattern"] == found.mapping["target_pattern"]
    reader = Reader(tmp_path / "study.yaml")
    data_options(reader, options, "objective")
    assert not reader.problems
    talk = chosen_columns({"prompt": ["a"], "messages": "b"}, found.mapping)
    assert talk["columns"] == {"target": "answer", "messages": "b"}


def test_nothing_is_shown_before_the_scorer_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path, ".jsonl", GSM8K)
    item = {"name": "", "scorer": "regex", "data": str(path)}
    assert see(item, tmp_path / "study.yaml") is None
    found = see({**item, "pattern": "(.)"}, tmp_path / "study.yaml")
    assert found is not None and found.table


def test_a_file_that_is_not_there_yet_shows_nothing(tmp_path: Path) -> None:
    for typed in ("", "nowhere.jsonl", "\0", "~nobody-here/x"):
        assert see({"name": "", "scorer": "nll", "data": typed}, tmp_path / "s.yaml") is None


def test_what_is_written_anew_is_shown_anew(tmp_path: Path) -> None:
    assert seen(tmp_path, ".jsonl", GSM8K, "nll").sentence.startswith("JSON Lines, 2 rows")
    more = [{**each, "question": f"{n}: {each['question']}"} for n in range(3) for each in GSM8K]
    assert seen(tmp_path, ".jsonl", more, "nll").sentence.startswith("JSON Lines, 6 rows")


def test_rows_that_stand_twice_are_told(tmp_path: Path) -> None:
    sentence = seen(tmp_path, ".jsonl", GSM8K * 3, "nll").sentence
    assert sentence.startswith("JSON Lines, 2 rows") and sentence.endswith(
        "4 rows repeat others (line 3 repeats line 1): each counts once."
    )
