"""The job "attribute" and the command's flag: answers, token by token, and what moved them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.__main__ import main
from engine.errors import BadInput
from engine.family.token_texts import token_texts
from engine.jobs.service import Service
from engine.worker.messages import Job
from tests import headless
from tests.engine.jobs.small import build_small_study, recipe, single

PROXY = {"method": "proxy_tuning", "coefficients": {"helpful": 1.5}}
RECIPES = [PROXY, recipe(helpful=0.5), single("base")]
PROMPTS = ["the quick", "a kind answer"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: Any) -> Path:
    return build_small_study(tmp_path_factory.mktemp("family"), adapter=True)


@pytest.fixture(scope="module")
def service(tmp_path_factory: Any):
    found = Service(tmp_path_factory.mktemp("workspace"), "cpu")
    yield found
    found.close()


def ask(service: Service, study: Path, kind: str, **payload: Any) -> Any:
    job = Job(kind, {"study": str(study), "prompts": PROMPTS, "max_new_tokens": 8, **payload})
    return service.run(job, lambda *_: None, lambda: None)


def test_columns_of_a_comparison(service: Service, study: Path) -> None:
    found = ask(service, study, "compare", recipes=RECIPES)["columns"]
    ids = [[each["token_ids"] for each in column["outputs"]] for column in found]
    result = ask(service, study, "attribute", recipes=RECIPES, token_ids=ids)["columns"]
    assert result[1:] == [[None, None], [None, None]]
    for output, each in zip(found[0]["outputs"], result[0], strict=True):
        assert "".join(each["tokens"]) == output["text"]
        assert len(each["tokens"]) == len(output["token_ids"]) == len(each["probability"])
        assert set(each["without"]) == {"helpful", "terse"}
        assert each["without"]["terse"] == each["probability"]  # of coefficient 0: exactly
        assert each["without"]["helpful"] != each["probability"]
        assert set(each["contribution"]) == {"helpful", "base"}
        for place, p in enumerate(each["probability"]):
            total = sum(part[place] for part in each["contribution"].values())
            assert total == pytest.approx(math.log(p) + each["entropy"][place], abs=1e-4)
    # what is left without the only expert is the model that it steers
    base = [{"method": "logit_fusion", "coefficients": {"base": 1.0}}]
    alone = ask(service, study, "attribute", recipes=base, token_ids=[ids[0]])["columns"][0]
    for one, other in zip(result[0], alone, strict=True):
        assert one["without"]["helpful"] == pytest.approx(other["probability"], abs=1e-6)
        assert other["without"]["base"] is None


def test_a_stop_ends_the_pieces_and_a_column_may_be_empty(service: Service, study: Path) -> None:
    written = ask(service, study, "compare", recipes=[PROXY])["columns"][0]["outputs"]
    ids, text = [each["token_ids"] for each in written], written[0]["text"]
    stop = text[len(text) // 2]
    [first, empty] = ask(
        service, study, "attribute", recipes=[PROXY, {"method": "no such"}], stop=[stop],
        token_ids=[ids, []],
    )["columns"]  # fmt: skip
    assert "".join(first[0]["tokens"]) == text[: text.index(stop)]
    assert len(first[0]["tokens"]) == len(ids[0]) and empty == []


@pytest.mark.parametrize(
    "payload",
    [{}, {"recipes": [PROXY]}, {"recipes": [PROXY], "token_ids": [[[5]]]}, {"token_ids": [[]]}],
)
def test_answers_that_belong_to_no_prompt_are_refused(
    service: Service, study: Path, payload: Any
) -> None:
    with pytest.raises(BadInput):
        ask(service, study, "attribute", **payload)


def test_the_command_gives_it_as_json_and_in_lines(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, plain = tmp_path / "proxy.yaml", tmp_path / "merged.yaml"
    file.write_text(yaml.safe_dump(PROXY), encoding="utf-8")
    plain.write_text(yaml.safe_dump(RECIPES[1]), encoding="utf-8")
    asked = ("generate", study, "--prompt", "the quick", "--max-new-tokens", "5", "--temperature",
             "1")  # fmt: skip
    ran = headless.run(tmp_path, *asked, "--recipe", file, "--attribute")
    assert ran.code == 0, ran.err
    [output] = ran.document["outputs"]
    found = output["attribution"]
    assert "".join(found["tokens"]) == output["text"]
    assert len(found["probability"]) == len(output["token_ids"]) == 5
    assert "attribution" not in headless.run(tmp_path, *asked, "--recipe", file).out

    words = [*map(str, asked), "--attribute", "--workspace", str(tmp_path)]
    assert main([*words, "--recipe", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = next(n for n, each in enumerate(lines) if "before temperature" in each)
    parts = zip(lines[head + 1 : head + 6], found["tokens"], found["probability"], strict=True)
    for line, token, p in parts:
        assert line.split("  ")[1] == repr(token) or repr(token) in line
        assert f"{p:.3f}" in line and "without helpful 0." in line and "terse 0." in line
    assert main([*words, "--recipe", str(plain)]) == 0
    assert "there is nothing to attribute" in capsys.readouterr().out


def test_pieces_of_bytes_join_to_the_text() -> None:
    said = "Ünder 😀 \ufffd€!"
    ids = list(said.encode())

    def decode(part: Any) -> str:
        return bytes(part).decode(errors="replace")

    found = token_texts(decode, ids, said)
    assert "".join(found) == said and len(found) == len(ids)
    assert found[:3] == ["", "Ü", "n"]
    assert max(map(len, found)) == 1  # each character comes with its last byte
    cut = token_texts(decode, ids, said[:7])
    assert "".join(cut) == said[:7] and set(cut[len(said[:7].encode()) :]) == {""}
    assert token_texts(decode, [], "") == []
    # special tokens are left out of a text
    letters = token_texts(lambda part: "".join("ab"[i] for i in part if i < 2), [0, 9, 1, 9], "ab")
    assert letters == ["a", "", "b", ""]
