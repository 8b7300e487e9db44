"""Points whose scores are as of an earlier definition of an objective."""

from __future__ import annotations

from pathlib import Path

from cache.store import Store
from tests.cache.test_store import HERE, OBJECTIVES, score


def test_a_score_of_another_fingerprint_is_told_until_there_is_one_of_now(tmp_path: Path) -> None:
    def old(point: str, objective: str = "facts", **more: object) -> dict:
        return score(point, objective, objective_fingerprint="old", id=f"old {point}", **more)

    with Store.open(tmp_path) as store:
        store.append([old("a"), old("b"), score("b"), score("c"), old("d", "style")])
        store.append([old("e", split="report"), old("f", numerics="other"), old("g", family="x")])
        assert store.earlier("fam", OBJECTIVES, *HERE) == {"facts": ("a",), "style": ("d",)}
        assert [each.id for each in store.points("fam", OBJECTIVES, *HERE)] == ["b", "c"]
        store.append([score("a"), score("d", "style")])
        assert store.earlier("fam", OBJECTIVES, *HERE) == {}


def test_a_score_under_a_new_name_is_of_now(tmp_path: Path) -> None:
    """Renaming an objective keeps its scores, and what had its name before is another matter."""
    with Store.open(tmp_path) as store:
        store.append([score("a", "facts"), score("a", "style")])
        renamed = {"style": OBJECTIVES["facts"]}
        assert store.earlier("fam", renamed, *HERE) == {}
