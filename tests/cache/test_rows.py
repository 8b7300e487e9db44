from __future__ import annotations

import json
import math

import numpy as np
import pytest

from cache.rows import clean, encode, pack, score_id, unpack

SCORE = {
    "kind": "score",
    "point": "0123456789ab",
    "family": "f",
    "objective": "facts",
    "objective_fingerprint": "o",
    "split": "explore",
    "numerics": "cpu/float32/1",
    "mean": 0.5,
    "at": 1.0,
}


def test_missing_id_is_the_key_of_the_score():
    assert clean(SCORE)["id"] == score_id("0123456789ab", "o", "explore", "cpu/float32/1")
    assert clean(SCORE)["id"] == clean({**SCORE, "mean": 0.25, "at": 9.0})["id"]
    assert clean(SCORE)["id"] != clean({**SCORE, "split": "report"})["id"]


def test_other_rows_are_told_apart_by_their_content():
    note = {"kind": "note", "text": "a", "at": 1.0}
    assert clean(note)["id"] == clean(dict(note))["id"] != clean({**note, "text": "b"})["id"]


def test_numbers_that_do_not_exist_are_null():
    row = clean({**SCORE, "mean": math.nan, "stderr": math.inf, "values": [1, math.nan, None]})
    assert (row["mean"], row["stderr"], row["values"]) == (None, None, [1.0, None, None])


def test_numpy_numbers_are_numbers():
    row = clean({**SCORE, "mean": np.float32(0.5), "n": np.int64(3), "values": np.ones(2)})
    assert json.loads(encode(pack(row)))["values"] == [1.0, 1.0]
    assert (row["mean"], row["n"]) == (0.5, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": None},
        {"kind": ""},
        {"point": None},
        {"family": ""},
        {"mean": "0.5"},
        {"mean": True},
        {"n": 1.5},
        {"values": "0.5"},
        {"values": ["a"]},
        {"recipe": "pcb"},
        {"objective": 3},
    ],
)
def test_a_row_of_wrong_types_is_refused(wrong):
    with pytest.raises(ValueError):
        clean({**SCORE, **wrong})


def test_what_is_not_json_is_refused():
    with pytest.raises(ValueError):
        pack(clean({**SCORE, "more": math.nan}))
    with pytest.raises(TypeError):
        pack(clean({**SCORE, "more": object()}))


def test_a_row_comes_back_as_it_was():
    row = clean(
        {
            **SCORE,
            "recipe": {"method": "pcb", "coefficients": {"a": 1.0}},
            "versions": {"torch": "2"},
            "error": "line one\nline two \ud800 \u2028",
            "more": {"deep": [1, None]},
        }
    )
    line = encode(pack(row))
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    packed = {name: None for name in ("recipe", "versions", "texts")} | json.loads(line)
    assert unpack(packed) == {**row, "texts": None}
