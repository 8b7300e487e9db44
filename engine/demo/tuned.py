"""Train the demo's target directly on what an expert was trained on: what steering stands in for.

    python -m engine.demo.tuned OUT        OUT/helpful, OUT/harmless, OUT/honest

A large model that is steered by small ones is measured against one that was fine-tuned itself.
These are not shipped: a study has no use for them, `benchmarks.gap_closed` compares with them.
Data, steps and rates are those of the expert; training starts from the shipped, rounded target.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from engine.demo.dialogues import training_dialogues
from engine.demo.formats import save_model
from engine.demo.train import EXPERTS, encode, fit, quiet_threads
from engine.demo.world import build_world
from engine.demo.write import FAMILY

PERSONAS = tuple(run.name for run in EXPERTS)


def tune_targets(
    out: Path,
    personas: Sequence[str] = PERSONAS,
    seed: int = 0,
    step: Callable[[str, float], None] = lambda name, share: None,
) -> list[Path]:
    """Fine-tune the shipped target on the data of each persona.

    Args:
        out: the models are written to OUT/PERSONA.
        seed: of the world and the order of the batches; 0 is that of the shipped family.
        step: called with the persona and the share of its training that is done.

    Returns:
        The models' directories, in the order of `personas`.
    """
    world = build_world(seed)
    place = FAMILY / "models" / "target"
    tokenizer = PreTrainedTokenizerFast.from_pretrained(place)
    made = []
    for run in (each for each in EXPERTS if each.name in personas):
        model = LlamaForCausalLM.from_pretrained(place, dtype=torch.float32)
        corpus = encode(tokenizer, training_dialogues(world, run.persona))
        with quiet_threads():
            fit(model, corpus, run, seed, partial(step, run.name))
        save_model(model, tokenizer, out / run.name)
        made.append(out / run.name)
    return made


def main() -> None:
    def told(name: str, share: float) -> None:
        sys.stderr.write(f"\r{name}: {share:.0%}   ")

    for each in tune_targets(Path(sys.argv[1]), step=told):
        sys.stdout.write(f"{each}\n")


if __name__ == "__main__":
    main()
