"""A tiny random model of a family's own class, for trying out what the class can do.

    config.json ──defaults filled in──► tiny configuration ──► module, float32, seeded weights

The weights are scaled so that texts wander and the top two logits keep apart: layers outweigh the
embedding in the residual stream, and the head's rows are of unequal length. Parameters that are no
matrices (norms, decays, step sizes) keep what their class gives them, slightly moved, so that
exchanging two of them shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.family.tiny import VOCABULARY, tiny_document

if TYPE_CHECKING:
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel

EMBEDDING_SCALE = 0.4
GAIN = 1.7
"""Standard deviation of a matrix times √(columns)."""
JITTER = 0.1

_KEPT = ("A_log", "dt_bias", "log_decay", "time_decay", "rotary")
"""Parameters whose values have a meaning of their own: decays and step sizes."""


def tiny_config(config: Mapping[str, Any], vocabulary: int = VOCABULARY) -> PretrainedConfig:
    """The tiny configuration of a class, ready to build from.

    Args:
        config: config.json as it is; what it leaves out has the class's default.

    Raises:
        KeyError: a model type that the installed transformers does not know.
        ValueError: sizes that the class refuses.
    """
    from transformers import CONFIG_MAPPING

    kind = CONFIG_MAPPING[config["model_type"]]
    full = kind.from_dict(dict(config)).to_dict()
    return kind.from_dict(tiny_document(full, vocabulary))


def tiny_model(
    config: Mapping[str, Any], vocabulary: int = VOCABULARY, seed: int = 0
) -> PreTrainedModel:
    """A causal language model of the configuration's class, tiny, with seeded weights, in float32.

    Of a configuration with towers, the class that is used for text alone where there is one.

    Raises:
        KeyError, ValueError: as `tiny_config`, or no causal class for this model type.
    """
    import torch
    from transformers import AutoModelForCausalLM

    tiny = tiny_config(config, vocabulary)
    with torch.random.fork_rng(devices=[]):  # what a class draws itself is repeatable too
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(tiny).float().eval()
    randomise(model, seed)
    return model.requires_grad_(False)


def randomise(model: nn.Module, seed: int = 0) -> None:
    """Fill a module's parameters and stored float buffers, the same ones for the same seed."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def normal(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator)

    embeddings = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding)
        for parameter in module.parameters()
    }
    with torch.no_grad():
        for name, tensor in sorted(model.named_parameters()):
            if any(each in name for each in _KEPT):
                tensor.add_(normal(tensor) * JITTER * tensor.abs().mean())
            elif id(tensor) in embeddings or "lm_head" in name:
                tensor.copy_(normal(tensor) * EMBEDDING_SCALE)
                if tensor.ndim == 2:  # unequal rows: their products keep apart
                    tensor.mul_(torch.linspace(0.7, 1.3, tensor.shape[0])[:, None])
            elif tensor.ndim >= 2 and "norm" not in name and "conv" not in name:
                tensor.copy_(normal(tensor) * GAIN / tensor.shape[-1] ** 0.5)
            else:
                tensor.add_(normal(tensor) * JITTER)
        stored = model.state_dict()
        for name, buffer in sorted(model.named_buffers()):
            computed = "decay" in name or "slope" in name  # from one another: they must agree
            if name in stored and buffer.is_floating_point() and not computed:
                buffer.add_(normal(buffer) * JITTER * buffer.abs().mean().clamp_min(0.1))
