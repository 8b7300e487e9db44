"""What a person says of points is kept as every row is: it survives all that rows survive."""

from __future__ import annotations

from pathlib import Path

import pytest

from cache.compaction import compact
from cache.journal import list_journals
from cache.segments import list_segments
from cache.store import Store
from engine.errors import BadInput
from studio.points.remarks import KIND, Remark, Remarks, hidden_of, name_of, names_of
from tests.cache.test_store import score

STUDY = Path("/studies/pair/study.yaml")
BEST = Remark(name="my best <b>one</b>", note="two\nlines", star=True)


def said(home: Path, study: Path = STUDY) -> dict[str, Remark]:
    """What another process reads."""
    with Store.open(home) as store:
        return dict(Remarks(store, study).all())


def test_the_newest_remark_of_a_point_counts_and_each_study_has_its_own(tmp_path: Path) -> None:
    other = Path("/studies/other/study.yaml")
    with Store.open(tmp_path) as store:
        remarks = Remarks(store, STUDY)
        assert not remarks.all() and remarks.of("p1") == Remark() == remarks.of(None)
        remarks.say({"p1": Remark(name="first"), "p2": Remark(hidden=True)})
        remarks.say({"p1": BEST})
        Remarks(store, other).say({"p1": Remark(name="elsewhere")})
        assert remarks.of("p1") == BEST
        before = remarks.all()
        store.append([score("p1")])
        assert remarks.all() is before  # what came is no remark
    assert said(tmp_path) == {"p1": BEST, "p2": Remark(hidden=True)}
    assert said(tmp_path, other) == {"p1": Remark(name="elsewhere")}


def test_a_remark_taken_back_is_none(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        remarks = Remarks(store, STUDY)
        remarks.say({"p1": BEST})
        remarks.say({"p1": Remark()})
        assert not names_of(remarks.all()) and not remarks.of("p1").mine


def test_compaction_and_a_new_index_keep_remarks(tmp_path: Path) -> None:
    for number in range(3):
        with Store.open(tmp_path) as store:
            Remarks(store, STUDY).say({"p1": Remark(name=f"name {number}")})
    assert compact(tmp_path / "journal", tmp_path / "segments", least=1) == 3
    assert not list_journals(tmp_path / "journal") and list_segments(tmp_path / "segments")
    assert said(tmp_path) == {"p1": Remark(name="name 2")}
    (tmp_path / "index.duckdb").unlink()
    assert said(tmp_path) == {"p1": Remark(name="name 2")}


@pytest.mark.parametrize("indexed", [True, False])
def test_a_damaged_remark_is_set_aside_alone(tmp_path: Path, indexed: bool) -> None:
    with Store.open(tmp_path) as store:
        Remarks(store, STUDY).say({"p1": BEST})
        Remarks(store, STUDY).say({"p2": Remark(name="second")})
    (journal,) = (tmp_path / "journal").glob("*.jsonl")
    if not indexed:
        (tmp_path / "index.duckdb").unlink()
    data = bytearray(journal.read_bytes())
    data[data.index(b"my best")] ^= 0x80
    journal.write_bytes(data)
    found = said(tmp_path)
    assert found["p2"] == Remark(name="second")
    assert found.get("p1") == (BEST if indexed else None)
    with Store.open(tmp_path) as store:
        assert len(store.damages) == 1


def test_a_remark_changes_no_point(tmp_path: Path) -> None:
    """Not even one that came before its point's scores."""
    key = "fam", {"facts": "fp-facts"}, "explore", "cpu/float32/1"
    with Store.open(tmp_path) as store:
        Remarks(store, STUDY).say({"p1": BEST})
        store.append([score("p1")])
        before = store.columns(*key)
        Remarks(store, STUDY).say({"p1": Remark()})
        assert store.columns(*key) is before
        (point,) = store.points(*key)
        assert point.recipe["of"] == "p1" and point.scores["facts"]["mean"] == 0.5


def test_what_has_not_its_type_is_left_out(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        row = {"kind": KIND, "id": "x", "study": str(STUDY), "of": "p1"}
        store.append([row | {"name": 3, "star": "yes", "note": "kept", "later": 1}])
        assert dict(Remarks(store, STUDY).all()) == {"p1": Remark(note="kept")}


def test_a_name_is_one_line_of_60_characters() -> None:
    assert name_of("  my  best\n\tone\x00 ") == "my best one"
    assert name_of("n" * 60) == "n" * 60
    with pytest.raises(BadInput, match="61 characters"):
        name_of("n" * 61)


def test_hidden_ones_are_those_of_points_that_are_there() -> None:
    remarks = {"p1": Remark(hidden=True), "p2": BEST, "p3": Remark(hidden=True)}
    assert hidden_of(remarks, {"p1": 0, "p2": 1}) == {"p1"}
    assert [each.mine for each in (Remark(asked=True), Remark(note="n"), BEST)] == [
        True, False, True,
    ]  # fmt: skip
