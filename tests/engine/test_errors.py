"""Messages: nothing of a stranger reaches a terminal raw, and many problems are counted."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

from engine.errors import (
    BadInput,
    Problem,
    ShownFormatter,
    bad,
    first_line,
    first_problems,
    shown,
    shown_json,
)
from engine.worker.messages import error_of, failure_of
from tests import headless

HIDDEN = "\x00\x07\x1b]0;title\x1b[31m\x7f\x9b\u202e\u2066\u2028\u2029\r\ud800"
UNSEEN = set(HIDDEN) - set("]0;title[31m")


class TestShown:
    def test_what_is_not_seen_stands_as_an_escape(self) -> None:
        said = shown(HIDDEN)
        assert not UNSEEN & set(said)
        assert said.startswith(r"\x00\x07\x1b]0;title\x1b[31m\x7f\x9b\u202e")
        assert shown(said) == said
        said.encode()

    def test_writing_of_every_language_stays(self) -> None:
        for text in ("naïve", "日本語", "می‌خواهم", "עברית", "👩‍🔬", "a\xa0b", "C:\\n"):
            assert shown(text) == text

    def test_lines_stay_only_where_they_are_ours(self) -> None:
        assert shown("a\n\tb\r") == r"a\n\tb\r"
        assert shown("a\n\tb\r", lines=True) == "a\n\tb\\r"

    def test_a_long_text_is_cut_with_a_count(self) -> None:
        said = shown("x" * 5000)
        assert len(said) < 2000 + 10
        assert said.endswith("… (3030 characters more)")
        assert shown("x" * 5000, most=None) == "x" * 5000

    def test_json_says_the_same_and_is_safe(self) -> None:
        document = {HIDDEN: [HIDDEN, "é\n"]}
        text = shown_json(json.dumps(document, ensure_ascii=False))
        assert not UNSEEN & set(text)
        assert json.loads(text) == document
        text.encode()


class TestProblems:
    def test_a_problem_holds_nothing_unseen(self) -> None:
        problem = Problem(f"a{HIDDEN}", f"b\n{HIDDEN}", f"c{HIDDEN}")
        assert not UNSEEN & set(f"{problem}{problem.as_dict()}")
        assert "\n" not in str(problem)

    def test_the_first_twenty_and_a_count(self) -> None:
        error = BadInput(*(Problem("file", f"problem {each}", "") for each in range(151)))
        lines = str(error).splitlines()
        assert len(lines) == 21
        assert lines[19] == "file: problem 19."
        assert "and 131 more" in lines[20]
        assert len(error.problems) == 151

    def test_twenty_one_are_all_told(self) -> None:
        problems = [Problem("file", f"problem {each}", "") for each in range(21)]
        assert first_problems(problems) == tuple(problems)

    def test_a_failed_event_carries_no_more(self) -> None:
        error = BadInput(*(Problem("file", f"problem {each}", "") for each in range(151)))
        assert str(error_of(failure_of(error))) == str(error)

    def test_first_line_of_a_stranger(self) -> None:
        assert first_line(ValueError("\x1b[2Jgone\nmore")) == r"\x1b[2Jgone"


class TestCommands:
    def test_an_argument_comes_back_as_text(self, tmp_path: Path) -> None:
        for ran in (
            headless.run(tmp_path, "check", tmp_path / f"x{HIDDEN[1:-1]}.yaml"),
            headless.run(tmp_path, "front", "--csv", tmp_path / "\x1b[31m", "--directions", "max"),
            headless.run(tmp_path, "sweep", tmp_path, "--points", "\x1b[31m", "--method", "pcb"),
        ):
            assert ran.code == 2
            assert "\x1b" not in ran.out + ran.err
            assert not UNSEEN - {"\r"} & set(ran.out + ran.err)
            assert r"\x1b" in ran.err

    def test_check_lists_the_first_twenty(self, tmp_path: Path) -> None:
        study = tmp_path / "study.yaml"
        keys = "".join(f"key{each}: 1\n" for each in range(60))
        study.write_text(keys, encoding="utf-8")
        ran = headless.run(tmp_path, "check", study)
        assert ran.code == 2
        assert len(ran.document["problems"]) == 21
        assert "more problems" in ran.document["problems"][-1]["what"]
        assert len(ran.err.splitlines()) == 21


class TestLogs:
    def test_a_log_line_is_one_line(self) -> None:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(ShownFormatter("%(message)s"))
        logger = logging.Logger("stranger")
        logger.addHandler(handler)
        try:
            raise bad("x", "y\x1b[2J")
        except BadInput:
            logger.error("a\n%s", HIDDEN, exc_info=True)
        said = stream.getvalue()
        assert not UNSEEN & set(said)
        assert said.startswith(r"a\n\x00")
        assert "Traceback" in said.splitlines()[1]
