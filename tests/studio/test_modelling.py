"""The family in words, from headers; memory in words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine.counted import size_text
from engine.family import memory as memory_module
from engine.family.compatibility import Family, open_family
from engine.study import FamilySpec
from studio import modelling
from tests.families import FamilyFiles


def opened(
    files: FamilyFiles, *experts: str, tokenizer: str = "base", target: bool = True
) -> Family:
    places = {name: files.experts[name] for name in experts}
    return open_family(FamilySpec(files.base, places, files.target if target else None, tokenizer))


def results(family: Family, name: str) -> str:
    [found] = [each for each in modelling.checks(family) if each.name == name]
    return "\n".join(found.results)


def test_the_table_has_a_row_a_model(family: FamilyFiles) -> None:
    rows = modelling.table(opened(family, "padded", "formal"))
    assert [(each["model"], each["kind"]) for each in rows] == [
        ("base", "base"), ("target", "target"), ("padded", "expert, full"),
        ("formal", "expert, LoRA"),
    ]  # fmt: skip
    assert rows[0]["layers"] == "3" and rows[3]["layers"] == "–"
    assert rows[2]["vocabulary rows"] == "312" and rows[3]["vocabulary rows"] == "–"
    assert rows[3]["architecture"].startswith("LoRA of rank 2 on ")
    assert rows[1]["directory"] == str(family.target)


def test_rows_that_only_some_models_have_are_named(family: FamilyFiles) -> None:
    found = results(opened(family, "helpful", "padded"), "Vocabulary rows")
    assert "Rows: base 304, target 320, helpful 304, padded 312." in found
    assert "Rows 304 to 311: only padded has them" in found
    assert "A merged model has 312 rows." in found
    assert "Fused logits use the first 304, which every model has." in found


def test_each_expert_s_tensors_and_tokens_are_reported(family: FamilyFiles) -> None:
    found = opened(family, "helpful", "terse")
    assert "helpful: same tensors as the base" in results(found, "Tensors and shapes")
    assert "terse: its factors fit 12 tensors of the base in name" in results(
        found, "Tensors and shapes"
    )
    assert "helpful: 300 ids mean the same tokens as in base." in results(found, "Token ids")
    assert "so not compared: terse" in results(found, "Token ids")


def test_another_dtype_is_said(family: FamilyFiles) -> None:
    assert "bfloat16" in results(opened(family, "helpful"), "Dtype")
    assert "Stored differently" not in results(opened(family, "helpful"), "Dtype")


def test_what_is_worth_a_look_is_marked(family: FamilyFiles, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(family.experts["helpful"], other)
    (other / "chat_template.jinja").write_text("{{ messages[0].content }}")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"rope_theta": 77.0}))
    checks = modelling.checks(open_family(FamilySpec(family.base, {"other": other})))
    marked = {each.name: "\n".join(each.results) for each in checks if not each.good}
    assert "Another template of their own: other" in marked["Chat template"]
    assert "rope_theta is 77.0" in marked["Worth knowing"]
    assert set(marked) == {"Chat template", "Worth knowing"}


def test_a_family_without_a_template_says_what_that_means(
    family: FamilyFiles, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(family.base, base)
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        (base / name).unlink(missing_ok=True)
    found = open_family(FamilySpec(base, {"terse": family.experts["terse"]}))
    assert "objectives with chat or messages cannot be measured" in results(found, "Chat template")


def test_the_tokenizer_s_owner_and_end_tokens_are_said(family: FamilyFiles) -> None:
    text = modelling.tokenizer_text(opened(family, "coder", tokenizer="coder", target=False))
    assert "come from coder" in text and "'<|end|>'" in text


def test_memory_that_is_not_there_is_said(
    family: FamilyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = opened(family, "helpful")
    needed = memory_module.memory_needed(found)
    between = (needed["live_bytes"] + needed["weight_space_bytes"]) // 2
    monkeypatch.setattr(memory_module, "available_memory", lambda: between)
    rows, there = modelling.memory(found, "float32")
    assert [each.memory.fits for each in rows[:2]] == [True, False]
    assert there == size_text(between)
    half, _ = modelling.memory(found, "bfloat16")
    assert half[0].memory.needed < needed["live_bytes"]


def test_a_device_s_own_memory_is_not_claimed_to_be_known() -> None:
    assert modelling.room_text("2 GB", "cpu") == "Free in this machine's main memory now: 2 GB."
    assert "its own memory is not known here" in modelling.room_text("2 GB", "cuda")
    assert not modelling.finite_check(False).good and modelling.finite_check(True).good
