"""Work shared between sessions: made once, whoever asks and however many at a time."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from studio.shared import Shelf, once


def test_it_is_made_once_for_all_who_ask_at_the_same_time() -> None:
    shelf, made, all_there = Shelf(), [], threading.Barrier(4)
    found: list[object] = []

    def make() -> object:
        made.append(1)
        return object()

    def ask() -> None:
        all_there.wait(10)
        found.append(shelf.once("figure", make))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert len(made) == 1 and len(found) == 4 and len({id(each) for each in found}) == 1


def test_other_keys_do_not_wait() -> None:
    shelf = Shelf()
    assert shelf.once("outer", lambda: shelf.once("inner", lambda: 3) + 1) == 4


def test_a_failure_is_raised_and_not_kept() -> None:
    shelf = Shelf()
    with pytest.raises(ZeroDivisionError):
        shelf.once("key", lambda: 1 // 0)
    assert shelf.once("key", lambda: 7) == 7


def test_the_least_used_goes_first() -> None:
    shelf, made = Shelf(kept=2), []
    for key in ("a", "b", "a", "c", "a", "b"):
        shelf.once(key, lambda key=key: made.append(key))
    assert made == ["a", "b", "c", "b"]


def test_each_owner_has_its_own() -> None:
    one, other = SimpleNamespace(), SimpleNamespace()
    assert once(one, "key", lambda: 1) == 1 and once(other, "key", lambda: 2) == 2
    assert once(one, "key", lambda: 3) == 1
