"""Train the demo family from its seed: tokenizer, base, three experts, one LoRA adapter, target.

    tokenizer ─┬─► base ─┬─► helpful, harmless, honest    full fine-tunes of the rounded base
               │         └─► honest once more             as a LoRA adapter
               └─► target                                 larger, on the base's data

Models are trained in float32 and rounded to bfloat16. Experts start from the rounded base, so a
task vector holds nothing but fine-tuning.

Reproducible: data and tokenizer are the same bytes everywhere. Weights are the same bytes for the
same seed on one machine with the same torch, transformers, tokenizers and peft; the number of
threads is set for the time of the training. Another processor or torch may round differently: then
the weights differ a little, and single answers with them.

If the family is shipped again, its points have to be measured again: `python -m
engine.demo.points`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

from engine.demo.dialogues import PERSONAS, Dialogue, Persona, training_dialogues, write_data
from engine.demo.formats import (
    PAD,
    large_config,
    save_adapter,
    save_model,
    small_config,
    train_tokenizer,
    with_adapter,
)
from engine.demo.world import build_world
from engine.demo.write import check_empty, write_studies
from engine.errors import Cancelled
from engine.unfinished import MARK, begun, remove

Progress = Callable[[str, float], None]

BATCH = 64
LONGEST = 64


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        rate: the highest learning rate.
        cost: seconds on one core of a server of 2023; only the progress bar needs it.
    """

    name: str
    persona: Persona
    steps: int
    rate: float
    cost: float


BASE = Run("base", "base", 700, 3e-3, 80)
EXPERTS = (
    Run("helpful", "helpful", 600, 2e-3, 70),
    Run("harmless", "harmless", 300, 1e-3, 35),
    Run("honest", "honest", 300, 1e-3, 35),
)
ADAPTER = Run("honest adapter", "honest", 400, 4e-3, 60)
TARGET = Run("target", "base", 800, 2e-3, 400)
WARM_UP = 30


def train(out: Path, seed: int = 0, progress: Progress = lambda stage, done: None) -> Path:
    """Train everything and write the whole study: models/, adapters/, data/, the study files.

    The target is trained beside the small models, one thread each.

    Args:
        out: a directory, absent or empty, or with what a killed training left.
        seed: of the world, the initial weights and the order of the batches.
        progress: called with the names of what is being trained and the share of all work done,
            0 to 1; from two threads, never at once.

    Returns:
        The path of study.yaml.

    Raises:
        BadInput: `out` is not empty.
    """
    out = Path(out)
    if (out / MARK).exists():
        remove(out)  # a training that was killed
    with begun(check_empty(out)):
        return _train(out, seed, progress)


def _train(out: Path, seed: int, progress: Progress) -> Path:
    world = build_world(seed)
    write_data(world, out / "data")
    dialogues = {persona: training_dialogues(world, persona) for persona in PERSONAS}
    texts = (
        text for rows in dialogues.values() for row in rows for text in (row.prompt, row.answer)
    )
    tokenizer = train_tokenizer(texts)
    corpora = {persona: encode(tokenizer, rows) for persona, rows in dialogues.items()}
    torch.manual_seed(seed)
    fresh = {
        BASE: LlamaForCausalLM(small_config()),
        TARGET: LlamaForCausalLM(large_config()),
    }
    meter = _Meter((BASE, *EXPERTS, ADAPTER, TARGET), progress)

    def perform(run: Run) -> None:
        model = fresh.pop(run) if run in fresh else _rounded_base(out)
        corpus = corpora[run.persona]
        if run is ADAPTER:
            torch.manual_seed(seed)
            adapted = with_adapter(model)
            fit(adapted, corpus, run, seed, lambda share: meter.step(run, share))
            save_adapter(adapted, tokenizer, out / "adapters/honest")
        else:
            fit(model, corpus, run, seed, lambda share: meter.step(run, share))
            save_model(model, tokenizer, out / "models" / run.name)

    with quiet_threads(), ThreadPoolExecutor(max_workers=1) as beside:
        target = beside.submit(perform, TARGET)
        try:
            for run in (BASE, *EXPERTS, ADAPTER):
                perform(run)
            target.result()
        except BaseException:
            meter.stopped = True
            raise
    return write_studies(out)


class _Meter:
    """Adds up the shares of runs that go on side by side, and stops them."""

    def __init__(self, runs: tuple[Run, ...], progress: Progress) -> None:
        self.done = dict.fromkeys(runs, 0.0)
        self.progress = progress
        self.lock = Lock()
        self.stopped = False

    def step(self, run: Run, share: float) -> None:
        with self.lock:
            if self.stopped:
                raise Cancelled(f"the training of {run.name} was stopped")
            self.done[run] = share * run.cost
            total = sum(each.cost for each in self.done)
            going = [each.name for each, done in self.done.items() if 0 < done < each.cost]
            self.progress(", ".join(going) or run.name, sum(self.done.values()) / total)


@contextmanager
def quiet_threads() -> Iterator[None]:
    """One torch thread a model, and no bars but ours.

    Sums are split by thread, so their number decides the last bits; and at these sizes two models
    with a thread each are done sooner than one after the other with two.
    """
    threads, bars = torch.get_num_threads(), logging.is_progress_bar_enabled()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if bars:
            logging.enable_progress_bar()


def _rounded_base(out: Path) -> LlamaForCausalLM:
    """The base as it was saved, in float32 for training."""
    return LlamaForCausalLM.from_pretrained(out / "models/base", dtype=torch.float32)


@dataclass(frozen=True)
class Corpus:
    """Encoded dialogues.

    Attributes:
        ids: int64 [dialogues, LONGEST], padded on the right.
        answers: bool, same shape: which tokens are learnt (the answer's and the end token).
        lengths: int64 [dialogues].
        weights: float32 [dialogues], sampling frequencies.
    """

    ids: Tensor
    answers: Tensor
    lengths: Tensor
    weights: Tensor


def encode(tokenizer: PreTrainedTokenizerFast, rows: list[Dialogue]) -> Corpus:
    """Dialogues through the chat template, as the models will meet them.

    Raises:
        ValueError: a dialogue longer than LONGEST, or a prompt that is no prefix of its dialogue.
    """
    asked = [[{"role": "user", "content": row.prompt}] for row in rows]
    told = [
        [*ask, {"role": "assistant", "content": row.answer}]
        for ask, row in zip(asked, rows, strict=True)
    ]
    prompts = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    wholes = tokenizer.apply_chat_template(told, tokenize=False)
    prompt_ids = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    whole_ids = tokenizer(wholes, add_special_tokens=False)["input_ids"]
    ids = torch.full((len(rows), LONGEST), PAD)
    answers = torch.zeros(ids.shape, dtype=torch.bool)
    for index, (whole, prompt) in enumerate(zip(whole_ids, prompt_ids, strict=True)):
        if len(whole) > LONGEST or whole[: len(prompt)] != prompt:
            raise ValueError(f"does not fit into {LONGEST} tokens: {rows[index]}")
        ids[index, : len(whole)] = torch.tensor(whole)
        answers[index, len(prompt) : len(whole)] = True
    lengths = torch.tensor([len(whole) for whole in whole_ids])
    return Corpus(ids, answers, lengths, torch.tensor([row.weight for row in rows]))


def fit(
    model: nn.Module, corpus: Corpus, run: Run, seed: int, step: Callable[[float], None]
) -> None:
    """AdamW, linear warm-up then cosine to zero, next-token loss on the answers only."""
    generator = torch.Generator().manual_seed(seed)
    trained = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=run.rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda at: min((at + 1) / WARM_UP, 0.5 + 0.5 * math.cos(math.pi * at / run.steps)),
    )
    model.train()
    for at in range(run.steps):
        rows = torch.multinomial(corpus.weights, BATCH, replacement=True, generator=generator)
        width = int(corpus.lengths[rows].max())
        ids, learnt = corpus.ids[rows, :width], corpus.answers[rows, 1:width]
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
        loss = nn.functional.cross_entropy(logits[learnt], ids[:, 1:][learnt])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        step((at + 1) / run.steps)
    model.eval()
