"""Models that say every row by heart: perplexity near 1 and every choice right, whatever the
tokenizer.

Encoded apart from its prompt, a continuation has tokens that such a model never saw there: under
LlamaTokenizer and behind a Prepend normaliser its perplexity would be in the hundreds.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from engine.compose import Composer
from engine.family.compatibility import open_family
from engine.recipe import Recipe, resolve
from engine.scoring.evaluate import evaluate
from engine.scoring.objectives import prepare
from engine.study import load_study
from tests.differential.tokenizers import write_tokenizer
from tests.families import write_lines

ROWS = (
    ("what is the colour of the sky?", "it is blue"),
    ("three red stones lie on the", "table"),
    ("the quick brown fox", "jumps over the dog"),
    ("a kind answer turns away", "anger"),
    ("the river is", "deep"),
    ("I am sorry, I cannot", "swim there"),
)
KINDS = ("byte-level", "sentencepiece", "prepend")
OBJECTIVES = (
    {"name": "says", "scorer": "exact_match", "max_new_tokens": 24},
    {"name": "surprise", "scorer": "perplexity"},
    {"name": "loss", "scorer": "nll"},
    {"name": "pick", "scorer": "choice"},
    {"name": "pick_chars", "scorer": "choice", "normalize": "chars"},
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def learn(place: Path, size: int, texts: list[list[int]]) -> None:
    """Train a model on the texts until it says them, and write it beside its tokenizer."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size, hidden_size=48, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=128,
        bos_token_id=1, eos_token_id=2, pad_token_id=0, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    width = max(map(len, texts))
    ids = torch.tensor([[*each, *[0] * (width - len(each))] for each in texts])
    real = torch.tensor([[*[1] * len(each), *[0] * (width - len(each))] for each in texts])
    labels = torch.where(real == 1, ids, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=8e-3)
    for _ in range(110):
        optimizer.zero_grad()
        model(input_ids=ids, attention_mask=real, labels=labels).loss.backward()
        optimizer.step()
    model.save_pretrained(place)


def build(root: Path, kind: str, chat: bool) -> Path:
    base = root / "base"
    size = write_tokenizer(kind, base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    texts = []
    for prompt, target in ROWS:
        asked = [{"role": "user", "content": prompt}]
        text = f"{prompt} {target}"
        if chat:
            opened = tokenizer.apply_chat_template(
                asked, add_generation_prompt=True, tokenize=False
            )
            text = f"{opened}{target}"
        found = tokenizer(text, add_special_tokens=not chat)["input_ids"]
        texts.append([*found, tokenizer.eos_token_id])
    learn(base, size, texts)
    shutil.copytree(base, root / "tuned")
    targets = [target for _, target in ROWS]
    rows = [
        {
            "prompt": prompt,
            "target": target,
            "choices": [target, targets[place - 1], targets[place - 2]],
            "answer": 0,
        }
        for place, (prompt, target) in enumerate(ROWS)
    ]
    for row in rows[1::2]:
        row["choices"], row["answer"] = [*row["choices"][1:], row["choices"][0]], 2  # type: ignore[index]
    write_lines(root / "rows.jsonl", rows)
    document = {
        "study": "by-heart",
        "family": {"base": "base", "experts": {"tuned": "tuned"}},
        "objectives": [
            {**each, "data": "rows.jsonl", "chat": chat, "report_fraction": 0.0}
            for each in OBJECTIVES
        ],
    }
    (root / "study.yaml").write_text(yaml.safe_dump(document))
    return root / "study.yaml"


@pytest.mark.parametrize(
    ("kind", "chat"), [(kind, True) for kind in KINDS] + [("sentencepiece", False)]
)
def test_what_is_known_by_heart_scores_so(tmp_path: Path, kind: str, chat: bool) -> None:
    study = load_study(build(tmp_path, kind, chat))
    composer = Composer(open_family(study.family), device="cpu", compute_dtype="float32")
    model = composer.compose(resolve(Recipe("single", {}, {"model": "base"}), study.family.names))
    scores = {
        each.name: score.mean
        for each, score, _ in evaluate(model, prepare(study), base=lambda: model)
    }
    assert scores["says"] == 1.0
    assert scores["surprise"] is not None and scores["surprise"] < 1.02
    assert scores["loss"] is not None and scores["loss"] < 0.02
    assert scores["pick"] == scores["pick_chars"] == 1.0
