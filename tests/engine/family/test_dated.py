from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from engine.family.compatibility import open_family
from engine.family.dated import DAY, pinned, uses_date
from engine.family.text import Text
from engine.family.tokenizer import TokenizerFiles
from engine.study import FamilySpec
from tests.families import FamilyFiles

FORMATS = (
    "%d %b %Y", "%Y-%m-%d", "%A, %B %d, %Y", "%-d.%-m.%y", "%H:%M:%S %p", "%j of %Y", "100%%",
    "%D %T", "%c", "%x %X", "%a %e %h", "no date",
)  # fmt: skip


def rendered(template: str, monkeypatch: pytest.MonkeyPatch, day: datetime, **given: Any) -> str:
    """The template as transformers renders it on a day."""
    from transformers.utils import chat_template_utils

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return day

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)
    (found,) = chat_template_utils.render_jinja_template(
        conversations=[[{"role": "user", "content": "hi"}]], chat_template=template, **given
    )[0]
    return str(found)


@pytest.mark.parametrize("given", FORMATS)
def test_a_pinned_template_is_the_template_on_that_day(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = (
        "\n{%- if strftime_now is defined %}\n{% set day = strftime_now('" + given + "') %}"
        "\n{%- endif %}\n{{ day }}\n {{ messages[0]['content'] }}\n"
    )
    wanted = rendered(template, monkeypatch, DAY)
    assert wanted != template
    assert rendered(pinned(template), monkeypatch, datetime(2031, 1, 2)) == wanted


def test_a_line_break_at_the_beginning_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    template = "\n{{ strftime_now('%Y') }}"
    assert rendered(pinned(template), monkeypatch, datetime(2031, 1, 2)) == "\n2024"


def test_a_template_without_a_date_stays() -> None:
    assert pinned("{{ bos_token }}") == "{{ bos_token }}"
    assert not uses_date("{{ date_string }}") and not uses_date(None)


def test_a_score_does_not_change_with_the_day(
    files: FamilyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    plain = TokenizerFiles.open(files.base).hash
    (files.base / "chat_template.jinja").write_text(template)
    family = open_family(FamilySpec(files.base, {"a": files.experts["helpful"]}))
    assert any("always 26 July 2024" in note for note in family.notes)
    assert any("a: its chat template differs from the family's" in note for note in family.notes)
    text = Text(family)
    assert text.decode(text.encode("hi", chat=True)) == "26 Jul 2024hi"
    assert TokenizerFiles.open(files.base).hash != plain


def test_a_template_in_a_processors_file(files: FamilyFiles) -> None:
    settings = files.base / "tokenizer_config.json"
    document = json.loads(settings.read_text())
    template = document.pop("chat_template")
    settings.write_text(json.dumps(document))
    (files.base / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    family = open_family(FamilySpec(files.base, {"a": files.experts["helpful"]}))
    assert family.tokenizer is not None and family.tokenizer.chat_template == template
    assert family.notes == ()
    whole = Text(family).encode("hi", chat=True)
    alone = FamilySpec(files.experts["helpful"], {"a": files.experts["helpful"]})
    assert whole == Text(open_family(alone)).encode("hi", chat=True)
    # the tokenizer's own settings come first, as transformers reads them
    settings.write_text(json.dumps(document | {"chat_template": "own"}))
    assert TokenizerFiles.open(files.base).chat_template == "own"
