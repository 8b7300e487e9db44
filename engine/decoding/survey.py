"""Which model types are fed like plain attention in this version of transformers: plain.json.

    python -m engine.decoding.survey            writes the file, of every type in DENSE
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

STATIC_ROPE = ("default", "linear", "yarn", "llama3")
"""Rotary scaling whose table follows from the configuration alone, whatever is read."""

ROPE_THAT_LOOKS = ("dynamic",)
"""Rotary scaling whose table follows from the longest text; tried. ("longrope" is never plain.)"""

DENSE = (
    "apertus", "arcee", "biogpt", "bitnet", "bloom", "codegen", "cohere", "cohere2", "diffllama",
    "ernie4_5", "exaone4", "falcon", "gemma", "gemma2", "gemma3_text", "glm", "glm4", "gpt2",
    "gpt_bigcode", "gpt_neo", "gpt_neox", "gptj", "granite", "helium", "hunyuan_v1_dense",
    "jais2", "llama", "ministral", "ministral3", "mistral", "mixtral", "modernbert-decoder", "mpt",
    "nanochat", "nemotron", "olmo", "olmo2", "olmo3", "olmoe", "opt", "persimmon", "phi", "phi3",
    "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "seed_oss", "smollm3", "stablelm", "starcoder2",
    "vaultgemma", "xglm",
)  # fmt: skip
"""Types that many people have; any other is tried when it is met."""

HANGS_ON: Mapping[str, Mapping[str, tuple[Any, ...]]] = {"falcon": {"alibi": (False,)}}
"""Keys that change how a type is fed, with the values of them that are tried."""

NEEDED: Mapping[str, Mapping[str, Any]] = {
    "hunyuan_v1_dense": {"head_dim": 128},
    "ministral": {"head_dim": 128},
    "nemotron": {"num_key_value_heads": 8},
}
"""What a type's own defaults leave out and every published model of it has."""


def configurations(kind: str) -> Iterator[dict[str, Any]]:
    """What is tried for a model type: its default, windows on and off, kinds of rotary scaling."""
    from transformers import CONFIG_MAPPING

    fixed = {key: values[0] for key, values in HANGS_ON.get(kind, {}).items()}
    base = {"model_type": kind, **fixed, **NEEDED.get(kind, {})}
    yield base
    full = CONFIG_MAPPING[kind].from_dict(dict(base)).to_dict()
    layers = full.get("num_hidden_layers")
    window = {"sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 1}
    if "sliding_window" in full:
        yield {**base, "sliding_window": None}
        yield {**base, **window}
    if full.get("layer_types") and isinstance(layers, int):
        types = [LAYER_TYPES[layer % 2] for layer in range(layers)]
        yield {**base, **window, "layer_types": types}
    rope = full.get("rope_parameters")
    if isinstance(rope, Mapping) and "rope_type" in rope:
        for name in ROPE_THAT_LOOKS:
            yield {**base, "rope_parameters": {**rope, "rope_type": name, "factor": 2.0}}


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
        "rope_types": [*STATIC_ROPE, *ROPE_THAT_LOOKS],
        "model_types": found,
    }


def main(kinds: list[str]) -> None:
    """Survey every type in DENSE and write the file, or those named and print it."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    document = survey(kinds or sorted(DENSE))
    text = json.dumps(document, indent=1) + "\n"
    if kinds:
        sys.stdout.write(text)
    else:
        PLAIN_FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
