"""What a model reads of an objective's rows where it is pruned on them, and their digest."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from engine.family.compatibility import open_family
from engine.family.text import Text
from engine.scoring.harmful import ObjectiveRows
from engine.study import FamilySpec, Objective
from tests.engine.jobs.small import build_small_study

Write = Callable[..., ObjectiveRows]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Text:
    root = build_small_study(tmp_path_factory.mktemp("family")).parent
    return Text(open_family(FamilySpec(root / "base", {"helpful": root / "helpful"})))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(rows: Sequence[Any], scorer: str = "nll", hash_: str = "h", **more: Any) -> Any:
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        objective = Objective("harm", scorer, file, **{"report_fraction": 0.0, **more})
        return ObjectiveRows([objective, Objective("cost", "cost")], hash_)

    return written


def read(rows: ObjectiveRows, text: Text) -> list[tuple[str, str]]:
    """Prompts and what follows, as texts with every special token."""
    found = rows.texts("harm", rows.digest("harm", "activation"), text)
    return [(text.tokenizer.decode(a), text.tokenizer.decode(b)) for a, b in found]


ROWS = [
    {"prompt": "the sky is", "targets": ["blue", "black"]},
    {"prompt": "the fox", "target": "jumps"},
]


def test_the_digest_of_rows_stays_and_is_another_where_they_reach_experts(
    write: Write, tmp_path: Path
) -> None:
    assert write(ROWS).digest("harm", "activation") == "29714801882d"
    objective = Objective("harm", "nll", tmp_path / "rows.jsonl", report_fraction=0.0)
    assert ObjectiveRows([objective], "h", True).digest("harm", "activation") != "29714801882d"


def test_the_first_target_follows_the_prompt(write: Write, text: Text) -> None:
    found = read(write(ROWS), text)
    assert sorted(a + b for a, b in found) == ["<s>the fox jumps", "<s>the sky is blue"]


def test_a_template_writes_the_prompt_and_ends_the_target(write: Write, text: Text) -> None:
    messages = [{"role": "user", "content": "the fox"}, {"role": "assistant", "content": "jumps"}]
    for rows in (write(ROWS[1:], chat=True), write([{"messages": messages}])):
        (found,) = read(rows, text)
        assert found[0] == "<s><|turn|>user: the fox<|end|><|turn|>assistant:"
        assert found[1].startswith("jumps") and found[1] != "jumps"


def test_the_right_choice_follows(write: Write, text: Text) -> None:
    rows = [{"prompt": "the sky is", "choices": ["red", "blue"], "answer": 1}]
    ((prompt, follows),) = read(write(rows, "choice"), text)
    assert prompt + follows == "<s>the sky is blue"


def test_a_prompt_stands_alone_where_nothing_follows(write: Write, text: Text) -> None:
    rows = write([{"prompt": "the fox"}], "refusal")
    assert read(rows, text) == [("<s>the fox", "")]
    with pytest.raises(BadInput, match=r"rows\.jsonl:1: the variant gradient needs a target"):
        rows.digest("harm", "gradient")


def test_the_digest_is_of_all_that_is_read_and_of_nothing_else(write: Write) -> None:
    def digest(*given: Any, **more: Any) -> str:
        return write(*given, **more).digest("harm", "activation")

    plain = digest(ROWS)
    assert plain == digest(ROWS[::-1]) == digest(ROWS, max_new_tokens=3)
    other = [{**ROWS[0], "targets": ["blue"]}, ROWS[1]]  # the second is never read
    assert plain == digest(other)
    changed = (
        digest([{**ROWS[0], "targets": ["black", "blue"]}, ROWS[1]]),
        digest(ROWS[:1]),
        digest(ROWS, limit=1),
        digest(ROWS, chat=True),
        digest(ROWS, hash_="another tokenizer"),
        digest([{**ROWS[0], "prompt": "the sea is"}, ROWS[1]]),
    )
    assert len({plain, *changed}) == 7
    assert write(ROWS).names == ("harm",)


def test_a_file_that_changes_changes_the_digest_of_the_same_study(write: Write, text: Text) -> None:
    rows = write(ROWS)
    before = rows.digest("harm", "activation")
    write(ROWS[:1])
    assert rows.digest("harm", "activation") != before
    with pytest.raises(BadInput, match="rows of harm have changed"):
        rows.texts("harm", before, text)
