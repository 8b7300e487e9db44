"""Changes to a study file's objectives, all else as it was."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from engine import replacing
from engine.errors import BadInput
from engine.study import load_study
from studio import study_text as editing

ITEM = {
    "name": "more", "data": "data/more.jsonl", "scorer": "regex", "pattern": "x: '(\\d)' # no",
    "stop": ["\n\n", "é"],
}  # fmt: skip

HEAD = "study: trio\nfamily:\n  base: models/base  # ours\n  experts: {a: models/a}\n"
INDENTED = """\
objectives:
  - name: facts             # known countries
    data: data/facts.jsonl
    scorer: exact_match
    stop:
      - "\\n"
  # the cheap one
  - name: cost
    scorer: cost            # no data
"""
RANGES = "\n# sliders\nranges:\n  task_arithmetic: {a: [0, 2]}\n"
STUDIES = {
    "last": HEAD + INDENTED,
    "in the middle": HEAD + INDENTED + RANGES,
    "without an indent": HEAD + INDENTED.replace("\n  ", "\n") + RANGES,
    "no newline at the end": (HEAD + INDENTED).rstrip("\n"),
    "deep": HEAD + INDENTED.replace("\n  ", "\n        "),
    "a block of text": HEAD + "objectives:\n- scorer: regex\n  name: a\n  data: d.jsonl\n"
    "  pattern: |\n    x\n    y\n\n# end\n",
    "a list at the end": HEAD + "objectives:\n- name: a\n  scorer: nll\n  data: d.jsonl\n"
    "  stop: [\"a\",\n    'b']  # two\n",
    "words of its own": HEAD + "  templates:  # how each is written to\n"
    "    a: {prefix: 'Q: '}\n" + INDENTED,
    "Windows": (HEAD + INDENTED + RANGES).replace("\n", "\r\n"),
}  # fmt: skip


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.yaml"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("text", STUDIES.values(), ids=STUDIES.keys())
def test_the_rest_of_the_file_stays(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    before = load_study(path)
    editing.add_objective(path, ITEM)
    after = load_study(path)
    assert after.objectives[:-1] == before.objectives
    assert (after.name, after.family, after.ranges) == (before.name, before.family, before.ranges)
    added = after.objectives[-1]
    assert added.name == "more" and added.stop == ("\n\n", "é")
    assert added.options == {"pattern": "x: '(\\d)' # no"}
    assert added.data == tmp_path / "data/more.jsonl"
    written = iter(path.read_bytes().decode().split())
    assert all(word in written for word in text.split()), "each, in this order, quoted as it was"
    assert [each.name for each in tmp_path.iterdir()] == ["study.yaml"]
    if "\r" in text:
        assert path.read_bytes().count(b"\n") == path.read_bytes().count(b"\r\n")


def test_what_ruamel_cannot_read_is_said_and_the_file_stays(tmp_path: Path) -> None:
    text = STUDIES["last"].replace("data: data/facts.jsonl", "data: 2024-13-45 00:00:00")
    path = write(tmp_path, text)
    with pytest.raises(BadInput, match="cannot be changed"):
        editing.add_objective(path, ITEM)
    assert path.read_text() == text


def test_two_more_stand_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, STUDIES["in the middle"])
    editing.add_objective(path, ITEM)
    editing.add_objective(path, {"name": "third", "scorer": "cost"})
    assert [each.name for each in load_study(path).objectives] == ["facts", "cost", "more", "third"]


def test_a_list_in_one_line_stays_one(tmp_path: Path) -> None:
    text = HEAD + "objectives: [{name: cost, scorer: cost}]  # short\n"
    path = write(tmp_path, text)
    path.chmod(0o640)
    editing.add_objective(path, ITEM)
    assert path.read_text().startswith(HEAD + "objectives: [{name: cost, scorer: cost}, {name: mo")
    assert path.read_text().endswith("}] # short\n")
    assert [each.name for each in load_study(path).objectives] == ["cost", "more"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("text", STUDIES.values(), ids=STUDIES.keys())
def test_an_objective_changes_and_what_it_says_already_stays(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    before = load_study(path)
    name = before.objectives[0].name
    item = {**ITEM, "name": name}
    editing.replace_objective(path, name, item)
    after = load_study(path)
    assert after.objectives[0].options == {"pattern": ITEM["pattern"]}
    assert after.objectives[1:] == before.objectives[1:] and after.ranges == before.ranges
    said = [line.partition("#")[2] for line in text.splitlines()]
    kept = path.read_bytes().decode()
    assert all(comment in kept for comment in said if "known" not in comment)


def test_a_change_keeps_quotes_comments_and_order(tmp_path: Path) -> None:
    path = write(tmp_path, STUDIES["in the middle"])
    item = {"name": "all facts", "data": "data/facts.jsonl", "scorer": "exact_match", "limit": 7}
    editing.replace_objective(path, "facts", item)
    wanted = STUDIES["in the middle"].replace("name: facts    ", "name: all facts")
    wanted = wanted.replace('    stop:\n      - "\\n"\n', "    limit: 7\n")
    assert path.read_text() == wanted
    editing.replace_objective(path, "cost", {"name": "cost", "scorer": "cost", "seed": 3})
    wanted = wanted.replace(
        "scorer: cost            # no data\n", "scorer: cost            # no data\n    seed: 3\n"
    )
    assert path.read_text() == wanted


def test_an_objective_is_removed_and_comments_below_it_stay(tmp_path: Path) -> None:
    path = write(tmp_path, STUDIES["in the middle"])
    editing.add_objective(path, ITEM)
    editing.remove_objective(path, "cost")
    assert [each.name for each in load_study(path).objectives] == ["facts", "more"]
    editing.remove_objective(path, "more")
    text = path.read_text()
    assert text.endswith("  # the cheap one\n" + RANGES) and "# known countries" in text
    with pytest.raises(BadInput, match="only objective"):
        editing.remove_objective(path, "facts")
    assert path.read_text() == text
    path.write_text(STUDIES["in the middle"])
    editing.remove_objective(path, "facts")
    text = path.read_text()
    assert (
        text
        == HEAD
        + "objectives:\n  # the cheap one\n  - name: cost\n    scorer: cost            # no data\n"
        + RANGES
    )
    with pytest.raises(BadInput, match="no objective named 'facts'"):
        editing.remove_objective(path, "facts")


@pytest.mark.parametrize(
    "item",
    [{"name": "cost", "scorer": "cost"}, {"name": "a=b", "scorer": "cost"}, {"scorer": "cost"}],
)
def test_an_item_that_makes_no_study_leaves_the_file(tmp_path: Path, item: dict[str, Any]) -> None:
    path = write(tmp_path, STUDIES["last"])
    with pytest.raises(BadInput):
        editing.add_objective(path, item)
    assert path.read_text() == STUDIES["last"]


def test_a_file_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, STUDIES["last"])

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(replacing.tempfile, "mkstemp", refuse)
    with pytest.raises(BadInput, match="Permission denied"):
        editing.add_objective(path, ITEM)
    assert path.read_text() == STUDIES["last"]
