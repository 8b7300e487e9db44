"""Variables of a chat template from the command line, and from an objective's scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import headless
from tests.families import FamilyFiles, build_tied_family

TEMPLATE = (
    "{% for message in messages %}<|turn|>{{ message['content'] }}<|end|>{% endfor %}"
    "{{ 'the red stones' if enable_thinking else 'a kind answer' }}"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    found = build_tied_family(tmp_path_factory.mktemp("thinking"))
    (found.base / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return found


def test_generate_takes_them(files: FamilyFiles, tmp_path: Path) -> None:
    study, recipe = files.study("helpful"), files.recipe("single", {"model": "base"})

    def ids(*more: str) -> list[int]:
        ran = headless.run(
            tmp_path, "generate", study, "--recipe", recipe, "--prompt", "the sea",
            "--max-new-tokens", "4", *more,
        )  # fmt: skip
        assert ran.code == 0, ran.err
        return list(ran.document["outputs"][0]["token_ids"])

    thinking = json.dumps({"enable_thinking": True})
    assert ids("--chat") != ids("--chat", "--template-kwargs", thinking)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--template-kwargs", "{}"), "no prompt uses the chat template"),
        (("--chat", "--template-kwargs", "{x"), "not JSON"),
        (("--chat", "--template-kwargs", "[1]"), "expected a mapping"),
        (("--chat", "--template-kwargs", '{"messages": []}'), "cannot be a template variable"),
    ],
)
def test_what_cannot_be_used_is_refused(
    files: FamilyFiles, tmp_path: Path, given: tuple[str, ...], said: str
) -> None:
    study, recipe = files.study("helpful"), files.recipe("single", {"model": "base"})
    ran = headless.run(
        tmp_path, "generate", study, "--recipe", recipe, "--prompt", "the sea", *given
    )
    assert ran.code == 2 and said in ran.err
    assert "Traceback" not in ran.err


def test_an_objective_is_scored_with_its_own(files: FamilyFiles, tmp_path: Path) -> None:
    row = {"data": "data/texts.jsonl", "scorer": "nll", "chat": True}
    study = files.study(
        "helpful",
        objectives=[
            {"name": "quick", **row},
            {"name": "same", **row, "template_kwargs": {"enable_thinking": False}},
            {"name": "slow", **row, "template_kwargs": {"enable_thinking": True}},
        ],
    )
    recipe = files.recipe("single", {"model": "base"})
    ran = headless.run(tmp_path, "evaluate", study, "--recipe", recipe)
    assert ran.code == 0, ran.err
    means = {name: each["mean"] for name, each in ran.document["points"][0]["scores"].items()}
    assert means["quick"] == means["same"] != means["slow"]
