"""What a worker has imported when it is ready, and when it rests."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import BadInput
from engine.jobs.imports import fetch_model_classes, importing
from engine.jobs.service import Service
from engine.worker.messages import Job
from tests.engine.jobs.small import build_small_study, recipe

SCRIPT = """
import sys
from pathlib import Path
from engine.jobs.imports import MODEL_CLASSES
from engine.worker.messages import Job
from engine.jobs.service import Service

late = (*MODEL_CLASSES, "peft", "torch._dynamo", "duckdb", "pyarrow")
service = Service(Path(sys.argv[1]), "cpu")
service.run(Job("open", {"study": sys.argv[2]}), lambda *a: None, lambda: None)
print([each for each in late if each in sys.modules])
service.rest()
print([each for each in MODEL_CLASSES if each not in sys.modules])
"""


def test_a_family_that_was_open_before_opens_without_the_model_classes(tmp_path: Path) -> None:
    study = str(build_small_study(tmp_path / "family"))
    first = Service(tmp_path, "cpu")
    first.run(Job("open", {"study": study}), lambda *a: None, lambda: None)
    first.close()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), study],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["[]", "[]"], done.stdout


def test_a_tokenizer_that_broke_since_is_refused_when_the_family_opens(tmp_path: Path) -> None:
    study = build_small_study(tmp_path / "family")
    service = Service(tmp_path, "cpu")
    service.run(Job("open", {"study": str(study)}), lambda *a: None, lambda: None)
    file = tmp_path / "family/base/tokenizer.json"
    whole = json.loads(file.read_text())
    file.write_text(json.dumps({**whole, "pre_tokenizer": {"type": "Unheard"}}))
    with pytest.raises(BadInput, match="transformers cannot load it"):
        service.run(Job("open", {"study": str(study)}), lambda *a: None, lambda: None)
    service.close()


def test_a_text_is_read_though_its_tokenizer_was_not_loaded_at_opening(tmp_path: Path) -> None:
    study = build_small_study(tmp_path / "family")
    payload = {"recipe": recipe(helpful=0.5), "prompts": ["the sea"], "max_new_tokens": 3}
    texts = []
    for _ in range(2):
        service = Service(tmp_path, "cpu")
        service.run(Job("open", {"study": str(study)}), lambda *a: None, lambda: None)
        asked = Job("generate", {"study": str(study), **payload})
        texts.append(service.run(asked, lambda *a: None, lambda: None)["outputs"][0]["token_ids"])
        service.close()
    assert texts[0] == texts[1] and len(texts[0]) == 3


def test_the_garbage_collector_is_on_again_whatever_happens() -> None:
    with pytest.raises(ImportError), importing():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()
    gc.unfreeze()


def test_nothing_is_frozen_where_everything_is_there() -> None:
    fetch_model_classes()
    before = gc.get_freeze_count()
    fetch_model_classes()
    assert gc.get_freeze_count() == before
