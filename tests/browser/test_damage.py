"""Damage in a workspace, in a real browser: counted at the top of a page, told on a click."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from cache.store import Store
from engine.demo import demo_in
from tests.browser.driver import Served, wait_for_chart
from tests.browser.hands import another_point

pytestmark = pytest.mark.browser


def test_a_damaged_row_is_counted_and_told(chrome: Browser, tmp_path: Path) -> None:
    """A letter of one row changes on disk: everything else is there, and this one is named."""
    demo_in(tmp_path)
    with Store.open(tmp_path) as store:
        points = {each["point"] for each in store.records("score")}
        row = another_point(store, min(points), 0.77)[0]
        store.append([row])
    [journal] = (tmp_path / "journal").glob("*.jsonl")
    lines = journal.read_bytes().split(b"\n")
    [at] = [place for place, each in enumerate(lines) if row["point"].encode() in each]
    lines[at] = lines[at].replace(b'"mean":', b'"mEan":', 1)
    journal.write_bytes(b"\n".join(lines))
    for each in tmp_path.glob("index*"):
        each.unlink()  # as after a move to another machine
    with Served(None, tmp_path, device="cpu") as served:
        page = served.open(chrome)
        wait_for_chart(page)
        expect(page.get_by_text(f"{len(points)} points", exact=True)).to_be_visible()
        page.get_by_role("button", name="1 damaged, set aside").click()
        told = page.get_by_text(f"{journal.relative_to(tmp_path)}, line {at + 1}")
        expect(told).to_be_visible()
        expect(told).to_contain_text(row["point"])
        expect(page.get_by_text(str(tmp_path / "damaged")).first).to_be_visible()
        assert page.complaints == []
        page.context.close()
