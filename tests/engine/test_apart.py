"""What strangers wrote runs apart, is stopped in time, and leaves the next request alone."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine import apart

CHAT = [{"role": "user", "content": "hi"}]
LONG = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "SECONDS", 0.2)


def test_matches_are_those_of_re() -> None:
    texts = ["xab", "aa\nb", "", "a{e<=1}", "ſ", "é1"]
    patterns = [r"a(b)?", r"(?i)S|[:alpha:]+x", r"a{e<=1}", r"(?s)a.b$", r"\w\d", r"(x)|(y)"]
    for how in ("search", "match", "fullmatch"):
        for pattern in patterns:
            for text, found in zip(texts, apart.match([pattern], texts, how=how), strict=True):
                wanted = getattr(re, how)(pattern, text)
                groups = re.compile(pattern).groups
                assert found == (
                    wanted and apart.Match(0, wanted[0], wanted[1] if groups else None)
                )


def test_the_first_pattern_that_matches() -> None:
    found = apart.match(["b", "a"], ["a", "ab", "c"])
    assert [each and each.pattern for each in found] == [1, 0, None]  # type: ignore[union-attr]


def test_a_pattern_that_takes_too_long_is_stopped_and_the_rest_not_tried() -> None:
    found = apart.match(["(a+)+$"], ["b", "a" * 60 + "b"] * 400)
    assert found[0] is None
    assert {each.kind for each in found[1:]} == {"time"}  # type: ignore[union-attr]
    assert len(found) == 800
    assert apart.match(["a"], ["a"]) == [apart.Match(0, "a", None)]


def test_many_slow_items_have_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "EACH", 0.001)
    found = apart.match(["(a+)+$"], ["a" * 20 + "b"] * 10_000)
    assert len(found) == 10_000
    assert isinstance(found[-1], apart.Failed) and found[-1].kind == "time"


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "(?P<a>x)(?P<a>y)", "*", "(" * 5000])
def test_what_is_no_pattern(pattern: str) -> None:
    [found] = apart.match([pattern], ["x"])
    assert isinstance(found, apart.Failed) and found.kind in ("syntax", "depth")


def test_what_does_not_hear_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "SECONDS", 30.0)
    monkeypatch.setattr(apart, "WAIT", -29.9)
    [found] = apart.render(LONG, {}, [CHAT])
    assert isinstance(found, apart.Failed) and found.kind == "time"
    monkeypatch.setattr(apart, "WAIT", 5.0)
    assert apart.render("{{ messages[0].content }}", {}, [CHAT]) == ["hi"]


def test_nobody_waits_for_another() -> None:
    def slow() -> None:
        apart.render(LONG, {}, [CHAT])

    threads = [threading.Thread(target=slow) for _ in range(2)]
    for each in threads:
        each.start()
    assert apart.render("a", {}, [CHAT]) == ["a"]
    assert any(each.is_alive() for each in threads)
    for each in threads:
        each.join()


def test_a_line_is_named_and_a_batch_answered_in_order() -> None:
    template = "a\n{% if messages[0].content == '7' %}{{ raise_exception('seven') }}{% endif %}"
    found = apart.render(
        template + "{{ messages[0].content }}",
        {},
        [[{"role": "user", "content": str(number)}] for number in range(600)],
    )
    assert found[7] == apart.Failed("error", "seven", 2)
    assert found[:7] + found[8:] == [f"a\n{n}" for n in range(600) if n != 7]


def test_lone_surrogates_go_both_ways() -> None:
    assert apart.render("{{ x }}", {"x": "\ud800"}, [CHAT]) == ["\ud800"]
    assert apart.match(["."], ["\ud800"]) == [apart.Match(0, "\ud800", None)]


def test_it_ends_with_its_owner_and_by_no_interrupt() -> None:
    file = Path(apart.__file__).with_name("apart_process.py")
    asked = {"do": "match", "seconds": 1.0, "total": 2.0, "patterns": ["b"], "how": "search"}
    request = json.dumps({**asked, "items": ["abc"]}).encode() + b"\n"
    command = [sys.executable, "-P", file]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        for _ in range(2):  # what interrupts a terminal's programs reaches this one, too
            process.stdin.write(request)
            process.stdin.flush()
            assert json.loads(process.stdout.readline()) == [[0, "b", None]]
            process.send_signal(signal.SIGINT)
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_template_knows_one_day_and_draws_nothing() -> None:
    asked = "{% set f = strftime_now %}{{ f('%d %B %Y') }} {{ strftime_now('%j') }}"
    assert apart.render(asked, {}, [CHAT]) == ["26 July 2024 208"]
    given = "{{ date_string }}"  # a variable of the study, and so of a score's key
    assert apart.render(given, {"date_string": "1 May"}, [CHAT]) == ["1 May"]
    for drawn in (
        "{{ ['a', 'b'] | random }}",
        "{{ lipsum() }}",
        "{{ [1] | map('random') | list }}",
    ):
        [found] = apart.render(drawn, {}, [CHAT])
        assert isinstance(found, apart.Failed) and "uses randomness" in found.what
