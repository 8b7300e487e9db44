"""Compare in a real browser: answers that grow side by side, and text that stays text."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Locator, Page, expect

from tests.browser.driver import Served
from tests.browser.hands import add_to_tray, answer, choose, turn_to

pytestmark = pytest.mark.browser

HOSTILE = [
    "<img src=x onerror=alert(1)><script>alert(2)</script>",
    "**bold** [link](javascript:alert(3)) `code` :material/home: # head",
    "$\\frac{1}{2}$ and $$e^x$$ &lt;b&gt;",
]


BESIDE = """(button) => {
    const place = document.createElement('div');
    place.className = 'stElementContainer';
    place.dataset.retained = 'true';
    place.innerHTML = '<input style="height: 5rem">';
    const top = () => button.getBoundingClientRect().top;
    const before = top();
    document.querySelector('.stMain [class*=st-key-add]').after(place);
    place.firstChild.focus();
    const after = top();
    place.remove();
    return [before, after];
}"""
"""Where a button stands before and after a list above it was replaced, which Streamlit keeps beside
the one in its place until the run has ended, or until a press elsewhere takes the focus from it."""


def said(page: Page) -> list[list[str]]:
    """The texts of the answers, [prompt][column]."""
    found: list[list[str]] = page.evaluate(
        """() => [...document.querySelectorAll('.answers tbody tr')]
            .map(row => [...row.querySelectorAll('td .text')].map(cell => cell.textContent))
            .filter(row => row.length)"""
    )
    return found


def heads(page: Page) -> Locator:
    return page.locator(".answers thead th")


def table_of_examples(page: Page) -> Locator:
    """What the examples' canvas says to a screen reader."""
    return page.locator("[class*='st-key-examples'] table[role=grid]")


def test_a_mixture_and_models_answer_and_differ(app: Served, chrome: Browser) -> None:
    page = app.open(chrome)
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("button", name="In tray").wait_for()
    turn_to(page, "Compare")
    expect(page.get_by_text("A · task_arithmetic")).to_be_visible()
    add_to_tray(page, ["base", "helpful"])

    answer(page)
    expect(heads(page)).to_have_text(["Adone", "Bdone", "Cdone"])
    texts = said(page)
    assert [len(row) for row in texts] == [3, 3, 3]
    assert any(row[1] != row[2] for row in texts)

    marks = page.locator(".answers ins, .answers del")
    expect(marks).to_have_count(0)
    choose(page, "Differences", "against B · base")
    expect(marks).not_to_have_count(0)
    expect(page.locator(".answers td:nth-child(2)").locator("ins, del")).to_have_count(0)
    for row, before in zip(said(page), texts, strict=True):
        assert row[1] == before[1]

    expect(page.get_by_text("Not measured on facts: task_arithmetic")).to_be_visible()
    counts = page.get_by_text(re.compile(r"^\d+ of \d+ differ"))
    letters = """each => {
        const found = document.createRange();
        found.selectNodeContents(each);
        const { top, bottom } = found.getBoundingClientRect();
        return [top, bottom];
    }"""
    _, ends = page.get_by_role("heading", name="Examples").evaluate(letters)
    begins, _ = counts.evaluate(letters)
    assert ends <= begins  # the heading stands clear of what is below it
    differ, of = map(int, re.findall(r"\d+", counts.inner_text())[:2])
    assert 0 < differ < of
    grid = table_of_examples(page)
    expect(grid).to_have_attribute("aria-rowcount", str(differ + 1))
    page.evaluate("document.querySelector('.stMain').scrollTop = 0")
    choose(
        page, "Show", "every example"
    )  # scrolled to and pressed at once, it opens and stays open
    expect(grid).to_have_attribute("aria-rowcount", str(of + 1))

    page.wait_for_url(
        re.compile("points=task_arithmetic.*(,|%2C)base(,|%2C)helpful.*answers=|answers=.*points=")
    )
    page.wait_for_url(re.compile("show=every"))
    again = app.open(chrome, page.url.removeprefix(app.url))
    expect(again.get_by_text("C · helpful", exact=True)).to_be_visible()
    expect(again.locator(".answers td .text").first).to_have_text(texts[0][0])
    assert said(again) == texts
    expect(table_of_examples(again)).to_have_attribute("aria-rowcount", str(of + 1))
    with again.expect_download() as taken:
        again.get_by_role("button", name="Download the rows shown as CSV").click()
    text = Path(taken.value.path()).read_text(encoding="utf-8")
    lines = list(csv.reader(io.StringIO(text, newline="")))
    assert len(lines) == of + 1 and lines[0][:3] == ["line", "prompt", "target"]
    assert page.complaints == again.complaints == []
    again.context.close()
    page.context.close()


def test_a_replaced_list_moves_no_button(app: Served, chrome: Browser) -> None:
    """What moves at a press is not there any more at its release: the click would be lost."""
    page = app.open(chrome, "/compare?points=base,honest")
    button = page.get_by_role("button", name="Answer", exact=True)
    expect(button).to_be_visible()
    expect(page.locator(".st-key-top_line")).to_have_css("flex-wrap", "nowrap")  # it has its style
    before, after = button.evaluate(BESIDE)
    assert after == before
    page.context.close()


def test_hostile_prompts_stay_text_and_another_seed_says_another_thing(
    app: Served, chrome: Browser
) -> None:
    page = app.open(chrome, "/compare?points=base,honest")
    dialogs: list[Dialog] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog))
    choose(page, "Prompts", "typed")
    page.get_by_role("textbox", name="Prompts, a blank line between two").fill("\n\n".join(HOSTILE))
    set_how(page, {"Max new tokens": "12", "Temperature": "9"})
    answer(page)
    expect(page.locator(".answers th.prompt")).to_have_count(len(HOSTILE))
    assert page.locator(".answers th.prompt").all_text_contents() == HOSTILE
    first = said(page)
    page.get_by_role("button", name="Regenerate with another seed").click()
    page.wait_for_function(
        """before => {
            const root = document.querySelector('.answers');
            return root?.dataset.writing === 'false' && root.textContent !== before;
        }""",
        arg=page.locator(".answers").text_content(),
    )
    assert len(said(page)) == len(first) and said(page) != first
    expect(page.get_by_role("button", name="temperature 9, seed 1")).to_be_visible()

    box = page.get_by_role("textbox", name="Prompts, a blank line between two")
    box.fill("\n\n".join(HOSTILE * 5))
    set_how(page, {"Max new tokens": "180"})
    page.get_by_role("button", name="Answer", exact=True).click()
    page.wait_for_function(
        """() => document.querySelector('.answers')?.dataset.writing === 'true' && [1, 2].every(
            column => document.querySelector(`.answers td:nth-child(${column}) .text`).textContent)
        """
    )
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped. What was written so far is kept.").wait_for()
    expect(heads(page)).to_have_text(["Astopped", "Bstopped"])
    assert all(said(page)[0])

    main = page.locator("[data-testid=stMain]")
    expect(main.locator("img, .katex, a[href^=javascript], script")).to_have_count(0)
    assert dialogs == [] and page.complaints == []
    page.context.close()


def set_how(page: Page, values: dict[str, str]) -> None:
    """Fill in how answers are made, and close the popover."""
    page.locator(".st-key-ask_settings button").first.click()
    for name, value in values.items():
        page.get_by_role("spinbutton", name=name).fill(value)
    page.keyboard.press("Escape")


def test_votes_are_cast_blind_by_keyboard(app: Served, chrome: Browser) -> None:
    page = app.open(chrome, "/compare")
    add_to_tray(page, ["base", "helpful"])
    answer(page)
    page.get_by_role("button", name="Vote blind").click()
    ballot = page.locator(".ballot")
    words = ballot.locator(".words")
    expect(words).to_have_text(re.compile(r"^0 of \d+ votes"))
    total = int(words.inner_text().split()[2])
    assert total >= 2 and total % 2 == 0  # each question in both orders
    # nothing on the page tells the columns
    for name in ("A · ", "B · ", "helpful"):
        expect(page.locator(".stMain").get_by_text(name)).to_have_count(0)
    seen = set()
    for place in range(total):
        expect(words).to_have_text(f"{place} of {total} votes")
        texts = tuple(ballot.locator(".text").all_inner_texts())
        seen.add((ballot.locator(".prompt").inner_text(), texts))
        if place == 0:
            page.keyboard.press("Control+1")  # the browser's own
            page.evaluate(
                "document.querySelector('.stMain').append(document.createElement('input'))"
            )
            field = page.locator(".stMain > input")
            field.press("1")  # typed, not voted
            expect(field).to_have_value("1")
            field.evaluate("each => each.remove()")
            expect(words).to_have_text(f"0 of {total} votes")
            page.keyboard.press("3")
            expect(words).to_have_text(f"1 of {total} votes")
            page.get_by_role("button", name="Take the last vote back").click()
            expect(words).to_have_text(f"0 of {total} votes")
        page.keyboard.press("1" if place else "4")
    votes = page.locator(".st-key-votes")
    expect(votes).to_contain_text(f"{total} votes on {total // 2} question")
    expect(votes).to_contain_text(f"Position: the left answer was chosen in {total - 1}")
    assert len(seen) == total and {(p, t[::-1]) for p, t in seen} == seen
    expect(page.get_by_text(f"0 votes of {total} left.")).to_be_visible()
    assert not page.complaints
    page.context.close()
