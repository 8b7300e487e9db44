"""Which model types are fed like plain attention in this version of transformers: plain.json.

    python -m engine.decoding.survey            writes the file
    python -m engine.decoding.survey llama …    prints what is found of these

A type is listed where every configuration below of it was tried and nothing stood in the way. A key
on which the answer hangs (ALiBi in Falcon) is listed with the values that were tried; so are kinds
of layers and of rotary scaling. Whatever else is asked of a listed type does not change how it is
fed: sizes, biases, activations, experts.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import torch

from engine.decoding.feeding import PLAIN, PLAIN_FILE
from engine.decoding.trial import tried
from engine.errors import BadInput

LAYER_TYPES = ("full_attention", "sliding_attention")

ROPE: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "linear": {"factor": 2.0},
    "dynamic": {"factor": 2.0},
    "yarn": {"factor": 2.0, "original_max_position_embeddings": 256},
    "llama3": {
        "factor": 2.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 256,
    },
}  # fmt: skip
"""Kinds of rotary scaling, with what each asks for."""

HANGS_ON: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "falcon": {"alibi": (False,)},
}
"""Keys that change how a type is fed, with the values of them that are tried."""


def configurations(kind: str) -> Iterator[dict[str, Any]]:
    """What is tried of a model type: its default, windows on and off, kinds of rotary scaling."""
    from transformers import CONFIG_MAPPING

    fixed = {key: values[0] for key, values in HANGS_ON.get(kind, {}).items()}
    base = {"model_type": kind, **fixed}
    yield base
    full = CONFIG_MAPPING[kind].from_dict(dict(base)).to_dict()
    layers = full.get("num_hidden_layers")
    if "sliding_window" in full:
        yield {**base, "sliding_window": None}
        yield {**base, "sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 1}
    if full.get("layer_types") and isinstance(layers, int):
        for kinds in (LAYER_TYPES, LAYER_TYPES[::-1], LAYER_TYPES[:1]):
            types = [kinds[layer % len(kinds)] for layer in range(layers)]
            window = {"sliding_window": 4096, "use_sliding_window": True}
            yield {**base, **window, "layer_types": types}
    rope = full.get("rope_parameters")
    if isinstance(rope, Mapping) and "rope_type" in rope:
        for name, more in ROPE.items():
            yield {**base, "rope_parameters": {**rope, "rope_type": name, **more}}


def plain(kind: str) -> bool:
    """Whether everything tried of a type is fed like plain attention.

    A configuration beside the default that does not run at all says nothing.
    """
    held = False
    for config in configurations(kind):
        try:
            if tried(config) != PLAIN:
                return False
        except BadInput as error:
            if not held or "depend on how" in str(error):
                return False
        held = True
    return held


def survey(kinds: list[str]) -> dict[str, Any]:
    """The document of plain.json for these model types."""
    found = {}
    for kind in kinds:
        if plain(kind):
            hangs = HANGS_ON.get(kind, {})
            found[kind] = {key: list(values) for key, values in hangs.items()}
    return {
        "transformers": version("transformers"),
        "layer_types": list(LAYER_TYPES),
        "rope_types": list(ROPE),
        "model_types": found,
    }


def main(kinds: list[str]) -> None:
    """Survey all causal types and write the file, or those named and print it."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as NAMES

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    document = survey(kinds or sorted(NAMES))
    text = json.dumps(document, indent=1) + "\n"
    if kinds:
        sys.stdout.write(text)
    else:
        PLAIN_FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
