"""Export in a real browser: what will be written, what was, and how to serve it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.driver import Served
from tests.browser.hands import choose, export

pytestmark = pytest.mark.browser


def test_a_model_leaves_verified_with_its_report(
    app: Served, chrome: Browser, tmp_path: Path
) -> None:
    page = app.open(chrome, "/export")
    choose(page, "Point", "harmless")
    expect(page.locator(".st-key-export_model")).to_contain_text("harmless")
    scores = page.locator("[data-testid=stDataFrame] table[role=grid]").first
    expect(scores).to_contain_text("facts ↑")
    rows = scores.locator("tr")
    expect(rows).to_have_count(7)
    point = re.findall(r"[0-9a-f]{12}", page.get_by_role("combobox", name="Point").input_value())
    assert len(point) == 1

    place = page.get_by_role("textbox", name="Directory on this server")
    expect(place).to_have_value(re.compile(f"/exports/demo-{point[0]}$"))
    full = tmp_path / "full"
    full.mkdir()
    (full / "kept").write_text("of another")
    button = page.get_by_role("button", name="Export", exact=True)
    place.fill(str(full))
    place.press("Tab")
    expect(page.get_by_text("not empty")).to_be_visible()
    button.click()
    page.get_by_text("Nothing was written.").wait_for()
    assert [each.name for each in full.iterdir()] == ["kept"]

    out = tmp_path / "out"
    place.fill(str(out))
    place.press("Tab")
    expect(page.get_by_text("not empty")).to_have_count(0)
    page.get_by_text(re.compile(r"^Will write .* in \d+ files; .* free on that disk")).click()
    expect(page.get_by_text("model.safetensors")).to_be_visible()
    export(page)
    expect(page.get_by_text(f"vllm serve {out}")).to_be_visible()
    assert (out / "model.safetensors").stat().st_size > 100_000
    manifest = json.loads((out / "paretoscope.json").read_text())
    assert point[0] in json.dumps(manifest)

    expect(scores).not_to_contain_text("not measured yet")
    expect(rows).to_have_count(7)
    history = page.locator(".st-key-exports table[role=grid]")
    expect(history).to_contain_text(str(out))
    expect(history).to_contain_text("copy of a model")
    expect(place).to_have_value(re.compile(f"/exports/demo-{point[0]}$"))
    assert page.complaints == []
    page.context.close()
