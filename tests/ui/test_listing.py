"""A table with long paths: shortened in the middle, whole to whoever points at one or copies it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from ui.listing import ENDING, ends, markup


@pytest.mark.parametrize(
    ("path", "last"),
    [
        ("/a/b", "/a/b"),
        ("/srv/very/long/directory/of/models/helpful", "/of/models/helpful"),
        ("/srv/" + "n" * 40, "n" * ENDING),
        ("/srv/models/" + "n" * (ENDING - 1), "/" + "n" * (ENDING - 1)),
    ],
)
def test_the_last_names_of_a_path_stay(path: str, last: str) -> None:
    assert ends(path) == (path[: -len(last)], last)


def test_every_text_is_a_text_and_a_path_is_whole() -> None:
    path = "/models/<b> & 'quoted'/" + "deep/" * 20 + "x"
    table = ElementTree.fromstring(markup([{"model": "a<b", "where": path}], paths=("where",)))
    [model, where] = table.iter("td")
    assert model.text == "a<b" and "".join(where.itertext()) == path
    assert [each.get("title") for each in where] == [path]
    assert [each.text for each in table.iter("th")] == ["model", "where"]


def test_a_table_without_rows_is_empty() -> None:
    assert not list(ElementTree.fromstring(markup([])).iter("td"))
