"""What `python -m docs.models` measures, on a sample of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from tests.differential import adapter_paths
from tests.differential.classes import every_class
from tests.differential.paths import outcomes

TABLE = Path(__file__).parents[2] / "docs" / "models.md"
SAMPLE = ("llama", "gpt2", "gemma2", "jamba", "mamba", "deepseek_v3", "bart", "llava")
"""Classes that stand for many: a plain decoder, learned positions, windows and soft caps, recurrent
layers among attention, nothing but recurrence, fused experts, positions that padding moves, towers.
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.filterwarnings("ignore")
def test_every_path_is_equal_or_refused(name: str, tmp_path: Path) -> None:
    found = outcomes(every_class()[name], tmp_path)
    assert {path: each for path, each in found.items() if not each.fine} == {}


@pytest.mark.parametrize("kind", ["LoRA", "DoRA", "PREFIX_TUNING"])
@pytest.mark.filterwarnings("ignore")
def test_adapters_are_equal_or_refused(
    kind: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = adapter_paths.measure(kind, tmp_path_factory.mktemp("shared"), tmp_path)
    assert {path: each for path, each in found.items() if not each.fine} == {}


def test_the_page_has_a_row_for_each_of_them() -> None:
    text = TABLE.read_text(encoding="utf-8")
    for library in ("transformers", "torch", "peft"):
        assert f"{library} {version(library)}" in text
    classes, adapters = text.split("## Adapters")
    assert _rows(classes, "| type |") == list(every_class())
    assert _rows(adapters, "| adapter |") == adapter_paths.rows()


def _rows(text: str, head: str) -> list[str]:
    """First cells of the table with this head."""
    lines = text[text.index(head) :].splitlines()[2:]
    return [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]


def test_there_are_enough_classes() -> None:
    assert len({row.architecture for row in every_class().values()}) >= 90
