"""How a family is fed is known when it is opened, and a class that cannot be exact is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors.torch import save_file

from engine.decoding import opening
from engine.decoding.feeding import PLAIN
from engine.decoding.opening import MEMORY, feedings
from engine.errors import BadInput
from engine.family.compatibility import open_family
from engine.family.tiny_model import tiny_model
from engine.study import FamilySpec

SMALL = {
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 64, "state_size": 4},
    "bert": {
        "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 64, "num_attention_heads": 4,
        "intermediate_size": 32,
    },
    "llama": {
        "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 64, "num_attention_heads": 4,
        "intermediate_size": 32,
    },
}  # fmt: skip


def family_of(kind: str, root: Path):
    """A base and an expert of a class, opened by their headers."""
    config = {"model_type": kind, **SMALL[kind]}
    for seed, name in enumerate(("base", "expert")):
        place = root / name
        place.mkdir(parents=True)
        module = tiny_model(config, seed=seed)
        module.config.save_pretrained(place)
        tied = {"lm_head.weight", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
        state = {k: v for k, v in module.state_dict().items() if k not in tied or kind == "llama"}
        save_file(state, place / "model.safetensors", metadata={"format": "pt"})
    return open_family(FamilySpec(root / "base", {"expert": root / "expert"}), text=False)


def test_a_plain_family_is_known_without_a_trial(tmp_path, monkeypatch):
    family = family_of("llama", tmp_path)
    monkeypatch.setattr(opening, "answer_document", None)
    assert feedings(family, tmp_path / "work") == {"base": PLAIN, "expert": PLAIN}
    assert not (tmp_path / "work").exists()


def test_a_trial_that_broke_off_is_told_and_not_remembered(tmp_path, monkeypatch):
    family, work = family_of("mamba", tmp_path), tmp_path / "work"
    with monkeypatch.context() as hurried:
        hurried.setattr(opening, "sys", SimpleNamespace(modules={}, executable=sys.executable))
        hurried.setattr(opening, "PATIENCE", 0.001)
        with pytest.raises(BadInput, match="took longer than"):
            feedings(family, work)
    assert not work.exists()
    assert feedings(family, work)["base"].argument == "cache_params"


def test_a_trial_is_remembered(tmp_path, monkeypatch):
    family, work = family_of("mamba", tmp_path), tmp_path / "work"
    found = feedings(family, work)
    assert found["base"] == found["expert"]
    assert (found["base"].argument, found["base"].rows) == ("cache_params", "equal")
    (file,) = (work / MEMORY).iterdir()
    monkeypatch.setattr(opening, "answer_document", None)  # a second trial would call it
    assert feedings(family, work) == found
    file.write_text("{half")
    with pytest.raises(TypeError):
        feedings(family, work)


def test_what_does_not_write_is_refused_by_name(tmp_path):
    family = family_of("bert", tmp_path)
    for _ in range(2):  # tried, then remembered
        with pytest.raises(BadInput, match="depends on later tokens") as caught:
            feedings(family, tmp_path / "work")
        first = caught.value.problems[0]
        assert first.where.startswith(f"base ({tmp_path / 'base' / 'config.json'})")
        assert len(caught.value.problems) == 2


def test_a_process_without_torch_stays_so_and_gets_the_same_answer(tmp_path):
    family_of("mamba", tmp_path)
    code = (
        "import json, sys; from pathlib import Path\n"
        "from engine.decoding.opening import feedings\n"
        "from engine.family.compatibility import open_family\n"
        "from engine.study import FamilySpec\n"
        f"root = Path({str(tmp_path)!r})\n"
        "family = open_family(FamilySpec(root / 'base', {'e': root / 'expert'}), text=False)\n"
        "found = feedings(family, root / 'apart')\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
        "print(json.dumps(found['e'].as_dict()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        cwd=Path(__file__).parents[3], check=True,
    )  # fmt: skip
    family = open_family(FamilySpec(tmp_path / "base", {"e": tmp_path / "expert"}), text=False)
    assert json.loads(done.stdout) == feedings(family, tmp_path / "work")["e"].as_dict()
