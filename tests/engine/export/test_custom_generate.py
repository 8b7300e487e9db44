"""An exported folder's `generate` is transformers' own: argument by argument what one model gives.

A mixture of half a model and half of the same model is that model, so plain `generate` is the right
value of every call; the two halves run through everything that several models run through.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    MaxLengthCriteria,
    StoppingCriteria,
    StoppingCriteriaList,
    TextStreamer,
)

from engine.export.decoding_code import generate_code
from tests import oracle

END = 2
HALVES: dict[str, Any] = {
    "model": "base",
    "models": ["base", "other"],
    "passes": {"base": "base", "other": "other"},
    "words": {"": {"template": None, "system": "", "prefix": "", "alone": False}},
    "opening": [],
    "weights": [0.5, 0.5],
    "kind": "linear",
    "options": {},
    "rows": 304,
    "vocabulary": 304,
    "end_ids": [END],
    "own_end_ids": [END],
    "feeding": {
        name: {"rows": "mixed", "memory": "growing", "horizon": None} for name in ("base", "other")
    },
    "hub_ids": {},
}
OWN = HALVES | {"words": HALVES["words"] | {"other": HALVES["words"][""]}}
"""The other half reads prompts of its own: the same ones, with more padding."""

ONE = HALVES | {"models": ["base"], "passes": {"base": "base"}, "weights": [1.0]}


def folder(**settings: Any) -> Any:
    """The module of an exported folder with these settings."""
    code = generate_code(HALVES | settings)
    made = types.ModuleType("folder")
    exec(compile(code, "generate.py", "exec"), made.__dict__)
    return made


@pytest.fixture(scope="module")
def model(root: Path) -> Any:
    return oracle.load(root / "base")


@pytest.fixture(scope="module")
def tokenizer(root: Path) -> Any:
    found = oracle.load_tokenizer(root / "base")
    found.padding_side = "left"
    return found


@pytest.fixture(scope="module")
def inputs(tokenizer: Any) -> dict[str, torch.Tensor]:
    texts = ["the quick brown", "a kind answer turns away anger"]
    found = tokenizer(texts, padding=True, return_tensors="pt")
    return {name: found[name] for name in ("input_ids", "attention_mask")}


class Upwards(LogitsProcessor):
    """Prefers high ids."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return scores + 0.05 * torch.arange(scores.shape[-1])


class AtSeven(StoppingCriteria):
    """Stops all rows at seven new tokens."""

    def __init__(self, width: int) -> None:
        self.width = width

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        return torch.full((len(input_ids),), input_ids.shape[1] >= self.width + 7)


CALLS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "max_length": {"max_length": 28},
    "max_new_tokens": {"max_new_tokens": 9},
    "min_new_tokens": {"max_new_tokens": 12, "min_new_tokens": 12},
    "generation_config": {
        "generation_config": GenerationConfig(max_new_tokens=5, eos_token_id=[7, 9])
    },
    "do_sample": {"max_new_tokens": 9, "do_sample": True},
    "sampling": {
        "max_new_tokens": 9, "do_sample": True, "temperature": 0.7, "top_k": 20, "top_p": 0.9,
    },
    "min_p": {"max_new_tokens": 9, "do_sample": True, "min_p": 0.05},
    "temperature": {"max_new_tokens": 9, "temperature": 0.5},
    "repetition_penalty": {"max_new_tokens": 12, "repetition_penalty": 1.9},
    "no_repeat_ngram_size": {"max_new_tokens": 12, "no_repeat_ngram_size": 2},
    "bad_words_ids": {"max_new_tokens": 9, "bad_words_ids": [[100], [264]]},
    "suppress_tokens": {"max_new_tokens": 9, "suppress_tokens": [264, 267]},
    "sequence_bias": {"max_new_tokens": 9, "sequence_bias": [[[270], 4.0]]},
    "forced_eos_token_id": {"max_new_tokens": 6, "forced_eos_token_id": 5},
    "eos_token_id": {"max_new_tokens": 20, "eos_token_id": [264, 267, 80]},
    "pad_token_id": {"max_new_tokens": 20, "eos_token_id": [264, 267], "pad_token_id": 11},
    "num_return_sequences": {"max_new_tokens": 6, "do_sample": True, "num_return_sequences": 3},
    "num_beams": {"max_new_tokens": 9, "num_beams": 3},
    "beams": {
        "max_new_tokens": 9, "num_beams": 4, "num_return_sequences": 2, "length_penalty": 0.4,
    },
    "beam_sample": {"max_new_tokens": 6, "num_beams": 2, "do_sample": True},
    "early_stopping": {"max_new_tokens": 9, "num_beams": 3, "early_stopping": True},
    "logits_processor": {"max_new_tokens": 9, "logits_processor": [Upwards()]},
    "use_cache": {"max_new_tokens": 9, "use_cache": False},
    "output": {
        "max_new_tokens": 5, "return_dict_in_generate": True, "output_scores": True,
        "output_logits": True,
    },
}  # fmt: skip


def both(
    model: Any, inputs: dict[str, torch.Tensor], settings: dict[str, Any], **given: Any
) -> tuple[Any, Any]:
    """(what the folder returns, what plain `generate` does), from the same seed."""
    torch.manual_seed(3)
    others = {name: model for name in settings["models"] if name != "base"}
    wider = {name: torch.nn.functional.pad(each, (3, 0)) for name, each in inputs.items()}
    own = {"prompts": {"other": wider}} if settings is OWN else {}
    found = folder(**settings).generate(model, models=others, **inputs, **given, **own)
    torch.manual_seed(3)
    return found, model.generate(**inputs, **given)


@pytest.mark.filterwarnings("ignore:Using the model-agnostic default `max_length`:UserWarning")
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, HALVES) for name in CALLS),
        ("sampling", ONE),
        ("beams", ONE),
        ("output", ONE),
        *(
            (name, OWN)
            for name in (
                "max_length",
                "sampling",
                "num_return_sequences",
                "num_beams",
                "beams",
                "beam_sample",
                "use_cache",
                "output",
            )
        ),
    ],
    ids=lambda each: (
        each if isinstance(each, str) else "own" if each is OWN else f"{len(each['models'])}"
    ),
)
def test_an_argument_means_what_it_means_to_generate(
    model: Any, inputs: dict[str, torch.Tensor], name: str, settings: dict[str, Any]
) -> None:
    found, plain = both(model, inputs, settings, **CALLS[name])
    if not isinstance(plain, torch.Tensor):
        assert type(found) is type(plain)
        for key in ("scores", "logits"):
            for one, other in zip(found[key], plain[key], strict=True):
                assert torch.allclose(one, other, atol=1e-4)
        found, plain = found.sequences, plain.sequences
    assert torch.equal(found, plain)


def test_stop_strings_streamers_and_stopping_criteria(
    model: Any, inputs: dict[str, torch.Tensor], tokenizer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    width = inputs["input_ids"].shape[1]
    criteria = StoppingCriteriaList([AtSeven(width), MaxLengthCriteria(width + 9)])
    found, plain = both(model, inputs, HALVES, max_new_tokens=15, stopping_criteria=criteria)
    assert torch.equal(found, plain) and found.shape[1] == width + 7
    text = tokenizer.decode(model.generate(**inputs, max_new_tokens=9)[1, width:])
    given = {"max_new_tokens": 9, "stop_strings": [text[4:7]], "tokenizer": tokenizer}
    found, plain = both(model, inputs, HALVES, **given)
    assert torch.equal(found, plain) and int((found[1] != 1).sum()) < width + 9
    one = {name: each[1:] for name, each in inputs.items()}
    both(model, one, HALVES, max_new_tokens=9, streamer=TextStreamer(tokenizer))
    said = capsys.readouterr().out
    assert len(said) > 8 and said[: len(said) // 2] == said[len(said) // 2 :]


def test_the_models_own_generation_config(model: Any, inputs: dict[str, torch.Tensor]) -> None:
    own = model.generation_config
    model.generation_config = GenerationConfig(
        max_new_tokens=6, do_sample=True, temperature=2.0, eos_token_id=END, pad_token_id=1
    )
    try:
        found, plain = both(model, inputs, HALVES)
    finally:
        model.generation_config = own
    assert torch.equal(found, plain) and found.shape[1] <= inputs["input_ids"].shape[1] + 6


def test_a_mask_that_is_not_given(model: Any, inputs: dict[str, torch.Tensor]) -> None:
    own = model.generation_config.pad_token_id
    model.generation_config.pad_token_id = int(inputs["input_ids"][0, 0])
    try:
        found, plain = both(model, {"input_ids": inputs["input_ids"]}, HALVES, max_new_tokens=9)
    finally:
        model.generation_config.pad_token_id = own
    assert torch.equal(found, plain)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"inputs_embeds": torch.zeros(1, 3, 48)}, "inputs_embeds"),
        ({"guidance_scale": 1.5}, "guidance_scale"),
        ({"negative_prompt_ids": torch.ones(1, 2, dtype=torch.long)}, "negative_prompt_ids"),
        ({"prompt_lookup_num_tokens": 3}, "prompt_lookup_num_tokens"),
        ({"penalty_alpha": 0.6, "top_k": 4}, "penalty_alpha"),
        ({"dola_layers": "high"}, "dola_layers"),
        ({"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.5}, "num_beam_groups"),
        ({"output_hidden_states": True, "return_dict_in_generate": True}, "output_hidden_states"),
        ({"cache_implementation": "paged"}, "cache_implementation"),
        ({"seed": 3}, "seed"),
        ({"generation_config": GenerationConfig(guidance_scale=2.0)}, "guidance_scale"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_several_models_cannot_do_is_refused_by_name(
    model: Any, inputs: dict[str, torch.Tensor], given: dict[str, Any], named: str
) -> None:
    prompt = {} if "inputs_embeds" in given else inputs
    with pytest.raises(ValueError, match=named):
        folder().generate(model, models={"other": model}, **prompt, **given)


def test_an_assistant_is_refused(model: Any, inputs: dict[str, torch.Tensor]) -> None:
    one = {name: each[1:] for name, each in inputs.items()}
    with pytest.raises(ValueError, match="assistant_model"):
        folder().generate(model, models={"other": model}, assistant_model=model, **one)


@pytest.mark.parametrize("settings", [HALVES, ONE], ids=["two", "one"])
@pytest.mark.parametrize("more", [{}, {"num_beams": 2}, {"num_return_sequences": 2}], ids=str)
def test_rows_padded_on_the_right(
    model: Any, tokenizer: Any, settings: dict[str, Any], more: dict[str, Any]
) -> None:
    """Rows go on after their own text, as each does alone, and come back as they were given."""
    texts = ["the quick brown", "a kind answer turns away anger", "never"]
    rows = [tokenizer(each)["input_ids"] for each in texts]
    width = max(map(len, rows))
    ids = torch.tensor([row + [1] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    assert 0 in mask[:, -1]
    others = {name: model for name in settings["models"] if name != "base"}
    made = folder(**settings).generate(
        model, models=others, input_ids=ids, attention_mask=mask, max_new_tokens=6,
        do_sample="num_return_sequences" in more, top_k=1, **more,
    )  # fmt: skip
    each = len(made) // len(rows)
    assert torch.equal(made[:, :width], ids.repeat_interleave(each, 0))
    for number, row in enumerate(rows):
        alone = model.generate(
            input_ids=torch.tensor([row]), attention_mask=torch.ones(1, len(row), dtype=torch.long),
            max_new_tokens=6, do_sample=False, **(more if "num_beams" in more else {}),
        )[0, len(row) :].tolist()  # fmt: skip
        for found in made[number * each : (number + 1) * each, width:].tolist():
            assert found[: len(alone)] == alone and set(found[len(alone) :]) <= {1, 2}


def test_rows_that_a_model_would_read_wrongly(model: Any, inputs: dict[str, torch.Tensor]) -> None:
    kinds = {"base": {"rows": "mixed", "memory": "growing", "horizon": None}}
    equal = folder(
        feeding=kinds | {"other": {"rows": "equal", "memory": "growing", "horizon": None}}
    )
    with pytest.raises(ValueError, match="attention_mask: other would read the padding"):
        equal.generate(model, models={"other": model}, max_new_tokens=3, **inputs)
    alone = folder(
        feeding=kinds | {"other": {"rows": "alone", "memory": "growing", "horizon": None}}
    )
    with pytest.raises(ValueError, match="input_ids: other can only run one row at a time"):
        alone.generate(model, models={"other": model}, max_new_tokens=3, **inputs)


def test_a_text_that_would_pass_a_horizon(model: Any, inputs: dict[str, torch.Tensor]) -> None:
    plain = {"rows": "mixed", "memory": "growing", "horizon": None}
    near = folder(feeding={"base": plain, "other": plain | {"horizon": 30}})
    near.generate(model, models={"other": model}, max_new_tokens=9, **inputs)
    with pytest.raises(ValueError, match="other reads texts longer than 30 tokens differently"):
        near.generate(model, models={"other": model}, max_new_tokens=10, **inputs)


def test_models_that_are_missing_or_strange(model: Any, inputs: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="models: pass the loaded models other by name"):
        folder().generate(model, **inputs)
    with pytest.raises(ValueError, match="models: unknown more; known: base, other"):
        folder().generate(model, models={"other": model, "more": model}, **inputs)
