"""The tokenizer beside merged weights is the one whose rows they have."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

import engine
from engine.errors import BadInput
from engine.export.mergefile import merge
from tests.families import ADDED, VOCABULARY, build_tied_family, write_json

assert engine.merging


def merged(root: Path, out: Path, *experts: str, **more: Any) -> Path:
    document = {
        "base": str(root / "base"),
        "experts": {name: str(root / name) for name in experts},
        "method": "linear",
        "coefficients": dict.fromkeys(experts, 1.0),
        **more,
    }
    file = out.parent / f"{out.name}.yaml"
    file.write_text(yaml.safe_dump(document))
    merge(file, out, workspace=out.parent / "workspace", device="cpu")
    return out


def vocabulary(out: Path) -> dict[str, int]:
    found: dict[str, int] = AutoTokenizer.from_pretrained(out, local_files_only=True).get_vocab()
    return found


def ends(out: Path) -> Any:
    """What plain transformers takes for the end of a text."""
    model = AutoModelForCausalLM.from_pretrained(out, local_files_only=True)
    return model.generation_config.eos_token_id


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tied_family(tmp_path_factory.mktemp("family")).root


@pytest.fixture
def models(whole: Path, tmp_path: Path) -> Path:
    """Base, an expert with more tokens that ends its texts otherwise, and one more."""
    for name in ("base", "coder", "helpful"):
        shutil.copytree(whole / name, tmp_path / name)
    config = json.loads((tmp_path / "coder/config.json").read_text())
    write_json(tmp_path / "coder/config.json", config | {"eos_token_id": 305})
    (tmp_path / "coder/generation_config.json").unlink()
    return tmp_path


def test_the_tokenizer_with_most_tokens(models: Path) -> None:
    out = merged(models, models / "out", "helpful", "coder")
    found = vocabulary(out)
    assert len(found) == VOCABULARY + len(ADDED) and found == vocabulary(models / "coder")
    assert not (out / "generation_config.json").exists()
    assert ends(out) == ends(models / "coder") == 305
    assert json.loads((out / "config.json").read_text())["vocab_size"] == 308


def test_the_tokenizer_that_is_named(models: Path) -> None:
    out = merged(models, models / "out", "helpful", "coder", tokenizer="base")
    assert vocabulary(out) == vocabulary(models / "base")
    assert ends(out) == ends(models / "base") == [2, 3]


def test_base_among_equals(models: Path) -> None:
    out = merged(models, models / "out", "helpful")
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        assert (out / name).read_bytes() == (models / "base" / name).read_bytes()


def test_a_tokenizer_with_more_tokens_than_rows_is_not_taken(models: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(models / "coder" / name, models / "helpful" / name)
    out = merged(models, models / "out", "helpful")
    assert vocabulary(out) == vocabulary(models / "base")


def test_a_name_that_has_none(models: Path) -> None:
    with pytest.raises(BadInput, match="no model named 'target'"):
        merged(models, models / "out", "helpful", tokenizer="target")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (models / "helpful" / name).unlink()
    with pytest.raises(BadInput, match=r"helpful .* has no readable tokenizer"):
        merged(models, models / "out", "helpful", tokenizer="helpful")
