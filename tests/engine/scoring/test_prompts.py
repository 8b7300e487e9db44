"""What `check` finds in prompts without a model, against what an evaluation finds with one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from engine import apart
from engine.errors import BadInput
from engine.family.compatibility import Family, open_family
from engine.family.dated import pinned
from engine.family.light_text import LightText, light_text
from engine.family.text import Text
from engine.scoring.objectives import prepare
from engine.study import FamilySpec, Study, objective_of_document
from tests.families import FamilyFiles, build_tied_family

NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "<{{ m['role'] }}>{{ m['content'] }}{% endfor %}<assistant>"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("prompts"))


@pytest.fixture
def family(files: FamilyFiles, tmp_path: Path) -> Callable[..., Family]:
    """The family over a copy of its base with another template, window, or without BOS."""

    def build(template: str | None = None, window: int | None = None, bos: bool = True) -> Family:
        base = tmp_path / "base"
        shutil.rmtree(base, ignore_errors=True)
        shutil.copytree(files.base, base)
        if template is not None:
            (base / "chat_template.jinja").write_text(template)
        if window is not None:
            config = json.loads((base / "config.json").read_text())
            config["max_position_embeddings"] = window
            (base / "config.json").write_text(json.dumps(config))
        if not bos:
            data = json.loads((base / "tokenizer.json").read_text())
            data["post_processor"] = None
            (base / "tokenizer.json").write_text(json.dumps(data))
        return open_family(FamilySpec(base, {"terse": files.experts["terse"]}))

    return build


def found(family: Family, folder: Path, rows: list[dict[str, Any]], **keys: Any) -> list[Any]:
    path = folder / "d.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in rows))
    document = {"name": "a", "scorer": "refusal", "data": str(path), "report_fraction": 0.0, **keys}
    objective = objective_of_document(document, folder / "study.yaml")
    study = Study("s", folder / "study.yaml", family.spec, (objective,))
    try:
        prepare(study, chat_template=family.has_chat_template, text=light_text(family))
    except BadInput as error:
        return list(error.problems)
    return []


def said(*roles: str) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": f"{role} says"} for role in roles]}


def test_a_role_that_the_template_refuses(family: Callable[..., Family], tmp_path: Path) -> None:
    opened = family(NO_SYSTEM)
    rows = [said("user"), said("system", "user"), said("system", "user"), said("user")]
    [problem] = found(opened, tmp_path, rows)
    assert problem.where == f"{tmp_path}/d.jsonl:2"
    assert "System role not supported" in problem.what and "system, user" in problem.what
    assert found(opened, tmp_path, rows[:1]) == []
    assert found(opened, tmp_path, [{"prompt": "a"}], chat=True) == []
    [broken] = found(family("{% if %}"), tmp_path, [{"prompt": "a"}], chat=True)
    assert "the chat template does not parse" in broken.what
    assert broken.where.endswith("chat_template.jinja:1")


def test_messages_that_ask_nothing(family: Callable[..., Family], tmp_path: Path) -> None:
    opened = family()
    rows = [said("user", "assistant"), said("user", "assistant", "assistant"), said("system")]
    places = [each.where for each in found(opened, tmp_path, rows)]
    assert places == [f"{tmp_path}/d.jsonl:2", f"{tmp_path}/d.jsonl:3"]


def test_an_empty_prompt_without_bos(family: Callable[..., Family], tmp_path: Path) -> None:
    rows = [{"prompt": "a"}, {"prompt": ""}]
    assert found(family(), tmp_path, rows) == []
    opened = family(bos=False)
    [problem] = found(opened, tmp_path, rows)
    assert problem.where == f"{tmp_path}/d.jsonl:2" and "no tokens" in problem.what
    assert found(opened, tmp_path, rows, chat=True) == []
    assert found(opened, tmp_path, [{"text": "so be it"}], scorer="perplexity") == []


@pytest.mark.parametrize("chat", [False, True])
def test_the_longest_prompt_that_fits_fits(
    family: Callable[..., Family], tmp_path: Path, chat: bool
) -> None:
    prompt = "the sea is wide and " * 8
    count = len(Text(family()).encode(prompt, chat))
    rows = [{"prompt": "a"}, {"prompt": prompt}, {"prompt": "b"}]
    keys = {"chat": chat, "max_new_tokens": 5}
    assert found(family(window=count + 5), tmp_path, rows, **keys) == []
    [problem] = found(family(window=count + 4), tmp_path, rows, **keys)
    assert problem.where == f"{tmp_path}/d.jsonl:2"
    assert problem.what == (
        f"{count} tokens and 5 new ones exceed the models' {count + 4} positions"
    )


def test_all_that_are_too_long_are_counted(family: Callable[..., Family], tmp_path: Path) -> None:
    rows = [{"prompt": f"{number} the sea is wide " * 12} for number in range(60)]
    problems = found(family(window=40), tmp_path, rows, max_new_tokens=5)
    assert [each.where for each in problems[:2]] == [f"{tmp_path}/d.jsonl:{n}" for n in (1, 2)]
    assert len(problems) == 21 and "40 more rows" in problems[-1].what


def test_a_text_is_as_long_as_its_choices(family: Callable[..., Family], tmp_path: Path) -> None:
    rows = [{"prompt": "a", "choices": ["b", "the sea is wide " * 20], "answer": 0}]
    [problem] = found(family(window=40), tmp_path, rows, scorer="choice")
    assert "with the answer exceed the models' 40 positions" in problem.what
    assert found(family(window=400), tmp_path, rows, scorer="choice") == []


TEMPLATES = (
    NO_SYSTEM,
    "{{ bos_token }}{%- for m in messages %}\n  {% if loop.first %}\n[{{ m.content | trim }}]\n"
    "  {% else %}{% continue %}{% endif %}{% endfor %}{{ strftime_now('%Y') }}",
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
    "{% generation %}{{ m['content'] }}{% endgeneration %}{% endfor %}{{ ns.n }}"
    "{{ messages | tojson }}{{ tools is none }}{{ dict(a=1).a }}{% if think %}T{% endif %}",
    "{% macro said(m, open='<') %}{{ open }}{{ m.content | upper }}{% endmacro %}"
    "{% for m in messages %}{{ said(m) }}{{ m.thinking }}{{ m.reasoning_content }}{% endfor %}"
    "{{ dict.fromkeys(['a'], 1) }}{{ messages[-1] | items | list }}{{ eos_token }}{{ pad_token }}"
    "{{ '%05.1f' | format(2) }}{{ documents }}{{ range(3) | list }}{{ add_generation_prompt }}",
)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_rendered_as_transformers_does(
    family: Callable[..., Family], template: str
) -> None:
    opened = family(template)
    messages = [
        {"role": "user", "content": " é <b> ", "reasoning": "r"},
        {"role": "user", "content": "x\n", "tool_calls": None},
    ]
    tokenizer = AutoTokenizer.from_pretrained(str(opened.spec.base))
    tokenizer.chat_template = pinned(tokenizer.chat_template)
    wanted = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, think=True
    )
    light = LightText(opened)
    assert light.render(messages, {"think": True}) == wanted
    assert Text(opened).render(messages, {"think": True}) == wanted
    ids = tokenizer(wanted, add_special_tokens=False)["input_ids"]
    assert light.counts([wanted]) == [len(ids)]


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{% set ns = namespace() %}{% set ns._a = 1 %}", "namespace cannot hold '_a'"),
        ("{{ messages.append(1) }}", "unsafe"),
    ],
)
def test_a_template_cannot_leave_its_sandbox(template: str, what: str) -> None:
    [failed] = apart.render(template, {}, [[{"role": "user", "content": "a"}]])
    assert isinstance(failed, apart.Failed) and what in failed.what


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("a\n{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
         "it took too long"),
        ("{{ 'x' * 5000000 }}", "it produces more than 4,000,000 characters"),
        ("{{ 'x' * 2000000000 }}", "it needs more than 1024 MB of memory"),
        ("{{ '%02000000000d' | format(1) }}", "it needs more than 1024 MB of memory"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "it recurses without end"),
        ("a\n{% for %}", "does not parse"),
    ],
)  # fmt: skip
def test_a_template_that_no_limit_holds_is_one_message(
    family: Callable[..., Family],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    template: str,
    what: str,
    chat: bool,
) -> None:
    monkeypatch.setattr(apart, "SECONDS", 0.2)
    rows = [{"prompt": "a"}, {"prompt": "b"}] if chat else [said("user"), said("user", "user")]
    rows += [] if chat else [{"prompt": "c"}]
    [problem] = found(family(template), tmp_path, rows, chat=chat)
    assert what in problem.what
    assert "chat_template.jinja" in problem.where
    assert (":2" in problem.where) == ("parse" in what)


def test_a_template_that_refuses_every_order_of_roles_is_one_message(
    family: Callable[..., Family], tmp_path: Path
) -> None:
    rows = [said("user"), said("user", "user"), {**said("user"), "target": "another"}]
    rows[2]["messages"][0]["content"] = "asks"
    [problem] = found(family("a\n{{ raise_exception('never') }}"), tmp_path, rows)
    assert "(never)" in problem.what and "2 more rows" in problem.what
    assert "1 more orders of roles" in problem.what
