"""A short run of the fuzzer, the same inputs each time: no traceback, nothing slow, no memory kept.

`make fuzz` takes 10,000 of them, and others with SEED=2.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.campaign import WARM, Campaign, run_campaign
from tests.fuzz.doors import DOORS

INPUTS = 700
GROWTH = 60e6
"""Bytes that caches of a fixed size may come to hold."""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    return run_campaign(tmp_path_factory.mktemp("fuzz"), INPUTS, start=20)


def test_no_input_is_answered_as_none_may_be(campaign: Campaign) -> None:
    said = [f"{each.kind}\n{each.input}\n{each.said}" for each in campaign.findings]
    assert not said, "\n\n".join(said[:5])


def test_every_door_was_tried(campaign: Campaign) -> None:
    assert campaign.inputs >= INPUTS * 0.9
    tried = {end.split(":")[0] for end in campaign.ends}
    assert {*DOORS, "loaded"} - {"app"} <= tried
    assert {"address", "form"} <= tried


def test_memory_stays(campaign: Campaign) -> None:
    early = campaign.memory[WARM]
    assert max(campaign.memory.values()) - early < GROWTH, campaign.memory


def test_a_fault_is_seen(tmp_path: Path) -> None:
    """The other side: what the watcher is for, it sees."""
    from tests.fuzz import watching
    from tests.fuzz.watching import Input

    def broken(text: str) -> str:
        raise RuntimeError("broken")

    def loud(text: str) -> str:
        import sys

        sys.stderr.write("\x1b[31m" + "x" * watching.LONGEST)
        return "taken"

    def endless(text: str) -> str:
        while True:
            pass

    note = tmp_path / "note"
    with watching.watched(note):
        kinds = [
            each.kind
            for call in (broken, loud)
            for each in watching.run(Input("app", ("x",), call=call), tmp_path, note)[0]
        ]
        limit, watching.LIMIT = watching.LIMIT, 0.2
        try:
            slow, _, _ = watching.run(Input("app", ("x",), call=endless), tmp_path, note)
        finally:
            watching.LIMIT = limit
    assert "RuntimeError: broken" in kinds[0]
    assert any("more than" in each for each in kinds) and any("x1b" in each for each in kinds)
    assert slow[0].kind.startswith("slow") and "app: ['x']" in note.read_text()
