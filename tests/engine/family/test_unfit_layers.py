"""The table of layers that no adapter belongs on, tried on tiny models of the classes it names."""

from __future__ import annotations

import copy
import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners import tuners_utils
from peft.utils import transformers_weight_conversion as conversion
from transformers.pytorch_utils import Conv1D

from engine.family.unfit_layers import MISREAD, READ, RENAMED
from tests import adapters
from tests.differential.classes import build, causal_classes

IDS = torch.arange(20, 44)[None]
FINE = {"llama": "q_proj", "gpt2": "c_proj", "jamba": "x_proj", "mamba2": "in_proj"}


@torch.no_grad()
def difference(module: Any, layers: list[str]) -> float:
    """Largest difference of logits between running a LoRA on these layers and merging it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = LoraConfig(task_type="CAUSAL_LM", r=2, lora_alpha=4, target_modules=layers)
        adapted = get_peft_model(copy.deepcopy(module), config).eval()
        generator = torch.Generator().manual_seed(1)
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
        live = adapted(input_ids=IDS, use_cache=False).logits
        merged = adapted.merge_and_unload().eval()(input_ids=IDS, use_cache=False).logits
    return float((live - merged).abs().max())


@pytest.mark.parametrize("kind", sorted(READ))
def test_an_adapter_on_them_is_not_its_merge(kind: str) -> None:
    """Or peft does not run it at all."""
    module = build(causal_classes()[kind])
    for last in sorted(READ[kind].keys() - {"conv1d"}):
        layers = [
            name
            for name, each in module.named_modules()
            if name.rsplit(".", 1)[-1] == last and isinstance(each, torch.nn.Linear)
        ]
        assert layers, last
        try:
            assert difference(module, layers) > 1e-2, last
        except (ValueError, AttributeError, RuntimeError) as error:
            assert str(error)


@pytest.mark.parametrize(("kind", "last"), FINE.items())
def test_on_others_it_is(kind: str, last: str) -> None:
    module = build(causal_classes()[kind])
    layers = [
        name
        for name, each in module.named_modules()
        if name.rsplit(".", 1)[-1] == last and isinstance(each, torch.nn.Linear | Conv1D)
    ]
    assert layers and difference(module, layers) < 1e-4


def test_what_peft_refuses_and_renames() -> None:
    source = inspect.getsource(tuners_utils._check_lora_target_modules_mamba)
    said = [set(re.findall(r'"(\w+)"', each)) for each in re.findall(r"= (\{[^}]*\})", source)]
    layers, kinds = said[1], said[2]
    for kind in kinds:
        assert layers <= READ[kind].keys()
    named: dict[str, set[str]] = {}
    for kind, pattern in conversion._MODEL_TO_CONVERSION_PATTERN.items():
        if pattern in conversion._MOE_TARGET_MODULE_MAPPING and kind.islower():
            named[kind] = set(conversion._MOE_TARGET_MODULE_MAPPING[pattern])
    assert named == {kind: set(names) for kind, names in RENAMED.items()}


def test_what_peft_leaves_out_of_its_own_files(tmp_path: Path) -> None:
    for kind, lasts in MISREAD.items():
        module = build(causal_classes()[kind])
        module.save_pretrained(tmp_path / kind)
        layers = [n for n, _ in module.named_modules() if n.rsplit(".", 1)[-1] in lasts]
        with adapters.quiet(), torch.no_grad():
            config = LoraConfig(r=2, target_modules=layers, init_lora_weights=False)
            adapted = get_peft_model(module, config).eval()
            adapted.save_pretrained(tmp_path / "adapter")
            again = PeftModel.from_pretrained(adapters.load(tmp_path / kind), tmp_path / "adapter")
            first, second = (each.eval()(input_ids=IDS).logits for each in (adapted, again))
        assert layers and float((first - second).abs().max()) > 1e-3
