"""Σ log p of choices and targets is lm-eval's, over five kinds of tokenizer, plain and chat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests import headless
from tests.differential import probes
from tests.differential.lm_eval_rows import GOLDEN, OBJECTIVES, write_study
from tests.differential.tokenizers import KINDS

CLOSE = 1e-4


def test_the_numbers_are_of_lm_eval() -> None:
    document = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert document["versions"]["lm_eval"] == "0.4.13"
    assert list(document["log_likelihoods"]) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_log_likelihoods(kind: str, tmp_path: Path) -> None:
    wanted = json.loads(GOLDEN.read_text(encoding="utf-8"))["log_likelihoods"][kind]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with probes.registered():
            study = write_study(kind, tmp_path)
            probes.seen.clear()
            ran = headless.run(tmp_path, "evaluate", study, "--recipe", tmp_path / "recipe.yaml")
            assert ran.code == 0, ran
    finally:
        torch.set_num_threads(threads)
    seen = iter(probes.seen)
    apart = []
    for name in OBJECTIVES:
        for row, theirs in enumerate(wanted[name]):
            what, ours = next(seen)
            if what == "nll":  # a sum of tokens; under chat the end token is ours alone
                ours = [sum(ours[:-1] if name.endswith("chat") else ours)]
            if ours != pytest.approx(theirs, rel=CLOSE, abs=CLOSE):
                apart.append((name, row, ours, theirs))
    assert apart == []
    assert next(seen, None) is None
