from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from engine.scoring.stops import StopWatch, answer_in, cut

PIECES = ["a", "b", "\n", "\n\n", "ab", " b", "", "é", "\ufffd", "stop", "op", " "]


def decode(ids: Sequence[int]) -> str:
    """As sentencepiece decoders do: the leading space of the first piece is lost."""
    return "".join(PIECES[each] for each in ids).removeprefix(" ")


def test_cut_at_the_first_occurrence_of_any() -> None:
    assert cut("one two three", ["three", "two"]) == "one "
    assert cut("one", ["two"]) == "one"
    assert cut("one", []) == "one"
    assert cut("stop", ["stop"]) == ""


@pytest.mark.parametrize("stops", [["\n\n"], ["ba"], ["é", "stop"], [" b"], ["b \n"], ["b a b"]])
def test_a_stop_is_seen_at_the_token_that_completes_it(stops: list[str]) -> None:
    draw = random.Random(0)
    for _ in range(300):
        watch, ids = StopWatch(stops, decode), list[int]()
        for _ in range(40):
            ids.append(draw.randrange(len(PIECES)))
            expected = any(stop in decode(ids) for stop in stops)
            assert watch(0, ids) == expected, (stops, ids)
            if expected:
                break


def test_only_tails_are_decoded_and_only_where_a_stop_could_end() -> None:
    asked: list[int] = []

    def counted(ids: Sequence[int]) -> str:
        asked.append(len(ids))
        return decode(ids)

    watch = StopWatch(["\n\n"], counted)
    ids: list[int] = []
    for _ in range(1000):
        ids.append(0)
        assert not watch(3, ids)
    assert asked == [2]
    for _ in range(1000):
        ids.extend((2, 0))
        assert not watch(3, ids[:-1])
    assert max(asked) < 20
    assert watch(3, [*ids, 3])


def test_what_stands_before_the_answer_is_neither_cut_nor_part_of_it() -> None:
    text = "a thought\n\nmore </b> an </b>answer\n\nand more"
    assert cut(text, ["\n\n"], "</b>") == "a thought\n\nmore </b> an </b>answer"
    assert cut("a thought\n\nmore", ["\n\n"], "</b>") == "a thought\n\nmore"
    assert answer_in("a </b> b </b>c", "</b>") == "c"
    assert answer_in("a </b>", "</b>") == ""
    assert answer_in("a", "</b>") is None
    assert answer_in("a", "") == "a"


def test_a_stop_counts_behind_the_marker_alone() -> None:
    draw = random.Random(1)
    for _ in range(200):
        watch, ids = StopWatch(["\n\n", " b"], decode, "ab"), list[int]()
        for _ in range(40):
            ids.append(draw.randrange(len(PIECES)))
            _, marker, behind = decode(ids).partition("ab")
            expected = bool(marker) and any(stop in behind for stop in ("\n\n", " b"))
            assert watch(0, ids) == expected, ids
            if expected:
                break


def test_a_row_without_tokens_has_no_stop() -> None:
    assert not StopWatch(["a"], decode)(0, [])
