"""What ours and lm-eval are both asked, and the checkpoints that both read.

    tokenizer × rows ─┬─ our scorers on a merge ──────────────────────────► Σ log p
                      └─ its export, read by lm-eval's HFLM (write_golden) ─► tests/golden/lm_eval

lm-eval is not needed to run the tests: its numbers are kept. To write them anew, in a virtual
environment that has lm_eval 0.4.13 beside requirements.txt:

    python -m tests.differential.lm_eval_rows
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from engine.family.tiny_model import randomise
from tests import families, headless
from tests.differential.tokenizers import KINDS, write_tokenizer

GOLDEN = Path(__file__).parents[1] / "golden" / "lm_eval" / "log_likelihoods.json"
RECIPE = {"method": "task_arithmetic", "coefficients": {"tuned": 0.6}, "parameters": {}}
SHAPE: families.Shape = {"hidden": 32, "layers": 2, "heads": 4, "kv": 2, "mlp": 64}

QUESTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("what is the colour of the sky? it is", ("blue", "black", "a red stone", "ça va")),
    ("three red stones lie on the", ("table", "old green door", "sea")),
    ("the quick brown fox: 東京?", ("yes", "là-bas", "京", "the sea")),
    ("a kind answer turns away", ("anger, and a soft word", "an", "anger")),
    ("the river is deep ", ("and the night", "is")),
    ("the river is deep\n", ("and the night", "is")),
    ("the word is un", ("lost", "der the table")),
)
GLUED = tuple(row for row in QUESTIONS if row[0][-1].isspace())
"""Asked without a delimiter. Not in the middle of a word: where a token lies across the boundary,
ours counts it to what follows, and lm-eval counts as many tokens as the prompt has alone.
"""

TARGETS: tuple[tuple[str, str], ...] = (
    ("to be honest, the river", "is deep; I cannot swim there"),
    ("what is the colour of the sky?", "it is blue, and the night is black"),
    ("I am sorry,", "I cannot — ça va 東京"),
    ("the table: ", "red stones"),
    ("", "the quick brown fox jumps over the lazy dog"),
)

OBJECTIVES: Mapping[str, Mapping[str, Any]] = {
    "choice": {"scorer": "probe_choice", "data": "questions.jsonl"},
    "choice chat": {"scorer": "probe_choice", "data": "questions.jsonl", "chat": True},
    "choice glued": {"scorer": "probe_choice", "data": "glued.jsonl", "delimiter": ""},
    "nll": {"scorer": "probe_nll", "data": "targets.jsonl"},
    "nll chat": {"scorer": "probe_nll", "data": "chat_targets.jsonl", "chat": True},
}


def pairs(objective: str) -> list[list[tuple[str, str]]]:
    """(prompt, what is scored) of every row as lm-eval is asked: a delimiter where there is one."""
    between = " " if objective in ("choice", "nll") else ""
    if objective.startswith("choice"):
        rows = GLUED if objective == "choice glued" else QUESTIONS
        return [[(ask, between + each) for each in choices] for ask, choices in rows]
    asked = [row for row in TARGETS if row[0] or between]
    apart = [between if ask and not ask[-1].isspace() else "" for ask, _ in asked]
    return [[(ask, each + said)] for (ask, said), each in zip(asked, apart, strict=True)]


def write_study(kind: str, root: Path) -> Path:
    """Base and expert with one kind of tokenizer, data, a study over all objectives."""
    rows = write_tokenizer(kind, root / "base")
    write_tokenizer(kind, root / "tuned")
    config = families.llama_config(SHAPE, rows, tied=False) | {
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "dtype": "float32",
        "torch_dtype": "float32",
    }  # fmt: skip
    from transformers import LlamaConfig, LlamaForCausalLM

    for seed, name in enumerate(("base", "tuned"), 1):
        model = LlamaForCausalLM(LlamaConfig.from_dict(config)).float()
        randomise(model, seed)
        model.save_pretrained(root / name)
    for file, asked in (("questions", QUESTIONS), ("glued", GLUED)):
        lines = [{"prompt": ask, "choices": list(each), "answer": 0} for ask, each in asked]
        families.write_lines(root / f"{file}.jsonl", lines)
    every = [{"prompt": ask, "target": said} for ask, said in TARGETS]
    families.write_lines(root / "targets.jsonl", every)
    families.write_lines(root / "chat_targets.jsonl", [each for each in every if each["prompt"]])
    document = {
        "study": "lm-eval",
        "family": {"base": "base", "experts": {"tuned": "tuned"}},
        "objectives": [
            {"name": name.replace(" ", "_"), **each, "report_fraction": 0.0}
            for name, each in OBJECTIVES.items()
        ],
    }
    (root / "study.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    (root / "recipe.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    return root / "study.yaml"


def exported(root: Path, study: Path) -> Path:
    """The merge as a checkpoint, written by the command line."""
    ran = headless.run(
        root / "workspace", "export", study, "--recipe", root / "recipe.yaml", root / "out"
    )
    assert ran.code == 0, ran
    return root / "out"


def lm_eval_log_likelihoods(place: Path) -> dict[str, list[list[float]]]:
    """Σ log p of every row, by lm-eval's own model class in float32 on the CPU."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=str(place), device="cpu", dtype="float32", batch_size=4)
    found: dict[str, list[list[float]]] = {}
    for name in OBJECTIVES:
        found[name] = []
        for row in pairs(name):
            asked = [
                (_rendered(model, ask) if name.endswith("chat") else ask, said) for ask, said in row
            ]
            requests = [Instance("loglikelihood", {}, each, index) for index, each in
                        enumerate(asked)]  # fmt: skip
            found[name].append([float(sum_) for sum_, _ in model.loglikelihood(requests, True)])
    return found


def _rendered(model: Any, ask: str) -> str:
    return str(model.apply_chat_template([{"role": "user", "content": ask}]))


def write_golden() -> None:
    from importlib.metadata import version

    from tests.differential import probes

    torch.set_num_threads(1)
    numbers: dict[str, Any] = {}
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as place, probes.registered():
            root = Path(place)
            numbers[kind] = lm_eval_log_likelihoods(exported(root, write_study(kind, root)))
    document = {
        "written_by": "tests/differential/lm_eval_rows.py",
        "versions": {each: version(each) for each in ("lm_eval", "transformers", "torch")},
        "log_likelihoods": numbers,
    }
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_golden()
    sys.stderr.write(f"{GOLDEN} written\n")
