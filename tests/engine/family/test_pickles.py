"""Nothing of pickle is touched, whatever lies beside the weights."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from tests import headless
from tests.engine.jobs.small import build_small_study

PLANTED = (
    "pytorch_model.bin", "adapter_model.bin", "training_args.bin", "optimizer.pt", "scheduler.pt",
    "rng_state.pth", "model.ckpt", "vocab.pkl", "tokenizer.pkl", "consolidated.00.pth",
    "generation_config.pkl", "added_tokens.pkl",
)  # fmt: skip


class Bomb:
    """Makes a directory when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_planted_pickles_never_run(tmp_path: Path) -> None:
    root = tmp_path / "study"
    root.mkdir()
    small = build_small_study(root)
    mark = tmp_path / "went off"
    content = pickle.dumps(Bomb(mark))
    for folder in {each.parent for each in root.rglob("*.safetensors")}:
        for name in PLANTED:
            (folder / name).write_bytes(content)
    recipe = root / "recipe.yaml"
    recipe.write_text("method: task_arithmetic\ncoefficients: {helpful: 0.5}\n")
    study = small if isinstance(small, Path) else next(root.glob("*.yaml"))
    for words in (
        ("check", study),
        ("export", study, "--recipe", recipe, tmp_path / "out"),
    ):
        ran = headless.run(tmp_path / "workspace", *words)
        assert ran.code == 0, ran
        assert not mark.exists()
    assert not set(PLANTED) & set(os.listdir(tmp_path / "out"))
    with pytest.raises(FileExistsError):  # the bomb itself works
        pickle.loads(content)
        pickle.loads(content)
