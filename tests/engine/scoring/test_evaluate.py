"""A real, tiny model with a character tokenizer against plain loops over single rows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from engine.decoding.fusion import Mixture
from engine.errors import BadInput, Cancelled
from engine.scoring.evaluate import Metadata, ProgressNote, evaluate
from engine.scoring.scores import Score
from engine.study import Objective

LETTERS = "abcdefghijklmnopqrstuvwxyz ,.!?"
END, USER, SAYS = len(LETTERS), len(LETTERS) + 1, len(LETTERS) + 2
SIZE = len(LETTERS) + 3
ALL = f"{LETTERS}|><"


class Characters:
    """A token a character, then the end, the user's turn and the assistant's."""

    end_ids = frozenset({END})
    end_token = END
    before_all = None
    encoded = 0

    def encode(self, prompt: str, chat: bool = False) -> list[int]:
        [text] = self.render_all([[{"content": prompt}]]) if chat else [prompt]
        return self.continuation(text)

    def opened(self, ids: Sequence[int]) -> list[int]:
        return list(ids)

    def prefixed(self, prompt: str) -> str:
        return prompt

    def render_all(
        self, chats: Sequence[Sequence[Mapping[str, Any]]], variables: Any = ()
    ) -> list[str]:
        return ["".join(f">{each['content']}|" for each in chat) + "<" for chat in chats]

    def continuation(self, text: str) -> list[int]:
        self.encoded += 1
        return [ALL.index(letter) for letter in text]

    def split(self, text: str, boundary: int) -> tuple[list[int], int]:
        return self.continuation(text), boundary

    def decode(self, ids: Sequence[int], marker: str = "") -> str:
        return "".join(LETTERS[each] for each in ids if each < END)


@dataclass(eq=False)
class Tiny:
    modules: tuple[PreTrainedModel, ...]
    text: Characters
    cost: float = 1.0
    mixture: Mixture | None = None
    vocabulary: int | None = None
    rows: int | None = None
    own: Mapping[int, Any] = field(default_factory=dict)
    shares: tuple[float, ...] = ()
    forwards: list[int] = field(default_factory=list)


def tiny(seed: int, text: Characters) -> Tiny:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=SIZE, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=96,
        initializer_range=0.4, bos_token_id=None, eos_token_id=END, pad_token_id=None,
    )  # fmt: skip
    module = LlamaForCausalLM(config).eval().requires_grad_(False)
    model = Tiny((module,), text)
    module.register_forward_pre_hook(lambda *_: model.forwards.append(1))
    return model


@pytest.fixture(scope="module")
def text() -> Characters:
    return Characters()


@pytest.fixture(scope="module")
def model(text: Characters) -> Tiny:
    return tiny(1, text)


@pytest.fixture(scope="module")
def base(text: Characters) -> Tiny:
    return tiny(2, text)


PROMPTS = ["what", "is it, dear?", "a", "say no more", "go on", "why", "hello there", "b b b"]


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        {
            "prompt": prompt,
            "target": "yes" * (1 + place % 3),
            "choices": ["no", "yes, dear", "it"],
            "answer": place % 3,
        }
        for place, prompt in enumerate(PROMPTS)
    ]
    return write(tmp_path / "d.jsonl", rows)


def objective(path: Path | None, scorer: str, **keys: Any) -> Objective:
    keys = {"max_new_tokens": 12, "report_fraction": 0.0, **keys}
    return Objective(keys.pop("name", scorer), scorer, path, **keys)


def run(
    model: Tiny, *objectives: Objective, base: Tiny | None = None, **keys: Any
) -> list[tuple[Score, Metadata]]:
    def given() -> Tiny:
        assert base is not None, "no scorer here asks for the base"
        return base

    return [
        (score, made)
        for _, score, made in evaluate(model, objectives, "explore", base=given, **keys)
    ]


def log_softmax(model: Tiny, ids: Sequence[int]) -> torch.Tensor:
    with torch.no_grad():
        return model.modules[0](torch.tensor([list(ids)])).logits[0].log_softmax(-1)


def greedy(model: Tiny, prompt: Sequence[int], limit: int) -> tuple[list[int], bool]:
    written: list[int] = []
    while len(written) < limit:
        token = int(log_softmax(model, [*prompt, *written])[-1].argmax())
        if token == END:
            return written, True
        written.append(token)
    return written, False


def log_prob(model: Tiny, prompt: Sequence[int], ids: Sequence[int]) -> list[float]:
    table = log_softmax(model, [*prompt, *ids])
    return [float(table[len(prompt) - 1 + place, each]) for place, each in enumerate(ids)]


@pytest.mark.parametrize("chat", [False, True])
def test_texts_equal_a_plain_loop(model: Tiny, text: Characters, data: Path, chat: bool) -> None:
    ((score, made),) = run(model, objective(data, "exact_match", chat=chat))
    plain = [greedy(model, text.encode(prompt, chat), 12) for prompt in PROMPTS]
    assert made["texts"] == [text.decode(ids) for ids, _ in plain]
    assert made["tokens"] == sum(len(ids) + ended for ids, ended in plain)
    assert score.n == len(PROMPTS) and made["tokens_per_second"] > 0  # type: ignore[operator]


def test_matching_texts_score(model: Tiny, text: Characters, tmp_path: Path) -> None:
    told = [text.decode(greedy(model, text.encode(prompt), 12)[0]) for prompt in PROMPTS]
    rows = [
        {"prompt": prompt, "target": f" {told[place]} " if place % 2 else "never"}
        for place, prompt in enumerate(PROMPTS)
    ]
    path = write(tmp_path / "d.jsonl", rows)
    ((score, _),) = run(model, objective(path, "exact_match"))
    assert score.values == (0.0, 1.0) * 4 and score.mean == 0.5


@pytest.mark.parametrize("chat", [False, True])
def test_losses_equal_a_plain_loop(model: Tiny, text: Characters, data: Path, chat: bool) -> None:
    (nll, made), (perplexity, _) = run(
        model, objective(data, "nll", chat=chat), objective(data, "perplexity", chat=chat)
    )
    rows = [
        log_prob(
            model,
            text.encode(prompt, chat),
            [
                *text.continuation(("" if chat else " ") + "yes" * (1 + place % 3)),
                *([END] if chat else []),
            ],
        )
        for place, prompt in enumerate(PROMPTS)
    ]
    losses = [-sum(row) / len(row) for row in rows]
    assert nll.values == pytest.approx(losses, abs=1e-5)
    assert nll.mean == pytest.approx(sum(losses) / len(losses), abs=1e-5)
    tokens = sum(map(len, rows))
    assert made["tokens"] == tokens and made["texts"] is None
    assert perplexity.mean == pytest.approx(math.exp(-sum(map(sum, rows)) / tokens), rel=1e-5)


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("normalize", ["none", "chars", "bytes", "tokens"])
def test_choices_equal_a_plain_loop(
    model: Tiny, text: Characters, data: Path, chat: bool, normalize: str
) -> None:
    choices = ["no", "yes, dear", "it"]
    options = {"normalize": normalize}
    between = "" if chat else " "
    ((score, _),) = run(model, objective(data, "choice", chat=chat, options=options))
    right = []
    for place, prompt in enumerate(PROMPTS):
        sums = [
            sum(log_prob(model, text.encode(prompt, chat), text.continuation(between + choice)))
            / {"none": 1, "tokens": len(between + choice)}.get(normalize, len(choice))
            for choice in choices
        ]
        right.append(float(sums.index(max(sums)) == place % 3))
    assert score.values == tuple(right)


def divergence(model: Tiny, base: Tiny, prompt: Sequence[int], limit: int) -> float:
    written, ended = greedy(model, prompt, limit)
    p, q = (log_softmax(each, [*prompt, *written]) for each in (model, base))
    places = range(len(prompt) - 1, len(prompt) - 1 + len(written) + ended)
    return sum(float((p[x].exp() * (p[x] - q[x])).sum()) for x in places) / len(places)


def test_divergence_is_along_the_models_own_text(
    model: Tiny, base: Tiny, text: Characters, data: Path
) -> None:
    ((score, made),) = run(model, objective(data, "kl_to_base"), base=base)
    prompts = [text.encode(prompt) for prompt in PROMPTS]
    assert score.values == pytest.approx(
        [divergence(model, base, ids, 12) for ids in prompts], rel=1e-4
    )
    assert made["texts"] is not None and min(score.values) > 0.0  # type: ignore[type-var]
    ((same, _),) = run(model, objective(data, "kl_to_base"), base=model)
    assert same.mean == 0.0


def test_divergence_of_a_text_that_ends_at_once_is_that_of_its_end(
    base: Tiny, text: Characters, data: Path
) -> None:
    silent = tiny(3, text)
    with torch.no_grad():
        # the last norm ignores its input: every position says END, with a probability below 1
        silent.modules[0].model.norm.weight.zero_()  # type: ignore[union-attr, operator]
    head = silent.modules[0].lm_head  # type: ignore[union-attr]
    head.register_forward_hook(lambda _, __, out: out + 4.0 * (torch.arange(SIZE) == END))
    ((score, made),) = run(silent, objective(data, "kl_to_base"), base=base)
    assert made["texts"] == [""] * len(PROMPTS) and made["tokens"] == len(PROMPTS)
    expected = [divergence(silent, base, text.encode(prompt), 12) for prompt in PROMPTS]
    assert score.values == pytest.approx(expected, rel=1e-4) and min(expected) > 0.0


def test_cost_is_the_models(model: Tiny) -> None:
    ((score, made),) = run(model, Objective("price", "cost"))
    assert (score.mean, score.stderr, score.n) == (1.0, None, 1)
    assert made["tokens"] is None and made["texts"] is None


def test_stops_cut_the_text_and_end_the_row(model: Tiny, text: Characters, data: Path) -> None:
    ((_, whole),) = run(model, objective(data, "refusal", max_new_tokens=30))
    texts = whole["texts"] or []
    stop = max(texts, key=len)[3:5]
    ((_, made),) = run(model, objective(data, "refusal", max_new_tokens=30, stop=(stop, "zzzzz")))
    assert made["texts"] == [each.split(stop)[0] for each in texts]
    assert made["texts"] != texts
    assert made["tokens"] < whole["tokens"]  # type: ignore[operator]


def test_what_stands_before_the_marker_is_no_answer(
    model: Tiny, text: Characters, data: Path, tmp_path: Path
) -> None:
    ((_, whole),) = run(model, objective(data, "refusal", max_new_tokens=30))
    texts = whole["texts"] or []
    mark, first = max(texts, key=len)[4:6], max(texts, key=len)[0]
    answers = [each.rpartition(mark)[2] if mark in each else None for each in texts]
    assert None in answers and len(set(answers)) > 1
    rows = [
        {"prompt": prompt, "targets": ["never" if answer is None else answer]}
        for prompt, answer in zip(PROMPTS, answers, strict=True)
    ]
    path = write(tmp_path / "d.jsonl", rows)
    keys = {"max_new_tokens": 30, "answer_after": mark, "stop": (f"{first}zz",)}
    (same, made), (empty, _) = run(
        model,
        objective(path, "exact_match", **keys),
        objective(path, "regex", options={"pattern": "^"}, **keys),
    )
    assert made["texts"] == texts
    assert same.values == tuple(float(answer is not None) for answer in answers)
    assert empty.values == same.values  # a text that never comes to its answer matches nothing


def test_messages_go_through_the_template_whatever_chat_says(
    model: Tiny, text: Characters, tmp_path: Path
) -> None:
    messages = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "yes"}]
    spoken = write(tmp_path / "m.jsonl", [{"messages": messages}])
    prompt = write(tmp_path / "p.jsonl", [{"prompt": "hello", "target": "yes"}])
    kinds = ("nll", "contains")
    plain = [run(model, objective(spoken, kind))[0] for kind in kinds]
    chat = [run(model, objective(prompt, kind, chat=True))[0] for kind in kinds]
    for (first, made), (second, other) in zip(plain, chat, strict=True):
        assert first == second and made["texts"] == other["texts"]


def test_one_generation_serves_all_who_ask_for_the_same(
    model: Tiny, base: Tiny, data: Path
) -> None:
    asks = [objective(data, "contains"), objective(data, "refusal")]
    run(model, objective(data, "nll"))  # whose weights are watched once
    model.forwards.clear()
    run(model, asks[0])
    alone = len(model.forwards)
    (_, first), (_, second) = run(model, *asks)
    assert len(model.forwards) == 2 * alone
    assert first["texts"] == second["texts"]
    run(model, asks[0], objective(data, "refusal", max_new_tokens=13))
    assert len(model.forwards) > 3 * alone
    model.forwards.clear()
    run(model, objective(data, "nll"), objective(data, "perplexity"))
    assert len(model.forwards) == 1  # weights that were watched are not watched again


def test_a_generated_token_that_overflows_is_refused(text: Characters, tmp_path: Path) -> None:
    loud = tiny(3, text)
    data = write(tmp_path / "d.jsonl", [{"prompt": each, "target": "yes"} for each in PROMPTS])
    asks = objective(data, "contains"), objective(data, "nll")
    (sound, made), (loss, _) = run(loud, *asks)
    assert sound.mean is not None and loss.mean is not None and made["texts"]
    steps: dict[str, set[int]] = {}
    for each in made["texts"]:
        for place, letter in enumerate(each[:-1]):
            steps.setdefault(letter, set()).add(place + 1)
    unread = set(steps) - set("".join(PROMPTS) + " yes")
    token = min(each for each in unread if not steps[each] & {1, 2, 4, 8})
    with torch.no_grad():
        loud.modules[0].get_input_embeddings().weight[ALL.index(token)] *= 1e22
    (score, _), (again, _) = run(loud, *asks)
    assert score.mean is None and "overflow" in (score.error or "")
    assert again == loss  # what does not read it has its numbers


def test_scores_do_not_depend_on_what_else_is_evaluated(
    model: Tiny, base: Tiny, data: Path
) -> None:
    kinds = ("contains", "nll", "choice", "kl_to_base", "perplexity")
    asks = [objective(data, kind) for kind in kinds]
    together = [score for score, _ in run(model, *asks, base=base)]
    alone = [run(model, each, base=base)[0][0] for each in reversed(asks)]
    assert together == alone[::-1]


def test_sampled_texts_follow_the_seed(model: Tiny, data: Path) -> None:
    def texts(**keys: Any) -> list[str] | None:
        return run(model, objective(data, "refusal", **keys))[0][1]["texts"]

    assert texts(temperature=1.5, seed=1) == texts(temperature=1.5, seed=1)
    assert texts(temperature=1.5, seed=1) != texts(temperature=1.5, seed=2)
    assert texts(seed=1) == texts(seed=2, top_k=3, top_p=0.2)


def test_texts_are_encoded_once_for_all_points(model: Tiny, text: Characters, data: Path) -> None:
    asks = objective(data, "nll"), objective(data, "choice"), objective(data, "contains")
    first = run(model, *asks)
    before = text.encoded
    again = run(model, *asks)
    assert text.encoded == before
    assert [score for score, _ in first] == [score for score, _ in again]


def test_objectives_come_one_by_one(model: Tiny, data: Path) -> None:
    asks = [objective(data, "nll"), objective(data, "contains")]
    found: Iterator[Any] = evaluate(model, asks, "explore", base=lambda: model)
    assert next(found)[0] is asks[0]
    model.forwards.clear()
    assert next(found)[0] is asks[1] and model.forwards
    assert next(found, None) is None


def test_a_tick_ends_it_and_what_came_before_stands(model: Tiny, data: Path) -> None:
    left = 3

    def tick() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Cancelled("enough")

    found = evaluate(
        model, [objective(data, "nll"), objective(data, "contains")], base=lambda: model, tick=tick
    )
    assert next(found)[1].n == len(PROMPTS)
    with pytest.raises(Cancelled):
        next(found)


@pytest.mark.parametrize("kind", ["contains", "nll", "choice", "kl_to_base"])
def test_every_kind_ticks(model: Tiny, data: Path, kind: str) -> None:
    def tick() -> None:
        raise Cancelled("at once")

    with pytest.raises(Cancelled):
        run(model, objective(data, kind), base=model, tick=tick)


def test_progress_begins_at_nothing(model: Tiny, data: Path) -> None:
    notes: list[ProgressNote] = []
    run(model, objective(data, "contains"), progress=notes.append)
    assert notes[0] == ProgressNote("contains", 0, len(PROMPTS))
    assert all(0 <= note.done <= note.total for note in notes)


@pytest.mark.parametrize(
    ("rows", "keys", "said"),
    [
        ([{"prompt": "a", "target": "b"}, {"prompt": "", "target": "b"}], {}, ":2: the prompt has"),
        ([{"prompt": "a" * 90, "target": "b"}], {}, ":1: 90 tokens and 12 new ones exceed"),
        (
            [{"prompt": "a" * 90, "target": " " + "b" * 7}],
            {"scorer": "nll"},
            ":1: 90 tokens and 8 of",
        ),
        ([{"prompt": "a", "target": "b"}], {"scorer": "exact_mach"}, "Did you mean exact_match?"),
        ([{"prompt": "a"}], {}, ":1: has neither target"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_runs(
    model: Tiny, data: Path, tmp_path: Path, rows: Any, keys: dict[str, Any], said: str
) -> None:
    path = write(tmp_path / "bad.jsonl", rows)
    model.forwards.clear()
    asks = [objective(data, "nll"), objective(path, keys.get("scorer", "contains"), name="bad")]
    with pytest.raises(BadInput) as caught:
        run(model, *asks)
    assert said in str(caught.value)
    assert not model.forwards


def test_a_target_up_to_the_last_position_fits(model: Tiny, tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", [{"prompt": "a" * 90, "target": " bbbbb"}])
    assert run(model, objective(path, "nll"))[0][0].mean is not None


def test_a_probability_of_nothing_is_null(model: Tiny, text: Characters, data: Path) -> None:
    masked = Tiny(model.modules, text, mixture=Mixture(("base",), (1.0,)), vocabulary=5)
    (nll, _), (choice, _) = run(masked, objective(data, "nll"), objective(data, "choice"))
    assert nll.mean is None and set(nll.values) == {None} and nll.n == len(PROMPTS)
    assert choice.mean is None and "not a number" in (choice.error or "")  # no choice can be said


def test_a_text_that_the_base_cannot_read_is_compared_up_to_there() -> None:
    from engine.scoring.fed_texts import _readable

    assert _readable((5, 9, 3), 10) == (5, 9, 3)
    assert _readable((5, 10, 3), 10) == (5, 0)  # the last id is never fed
    assert _readable((12,), 10) == (0,)
