"""RWKV halves weights in place the first time that it runs: a rewritten model is one that has not
run yet."""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM, RwkvConfig, RwkvForCausalLM

import engine  # noqa: F401  (registers the methods)
from engine.family.compatibility import open_family
from engine.family.loading import load_module
from engine.merging.basis import Tensors, nothing
from engine.merging.merged_model import MergedModel
from engine.recipe import METHODS
from engine.study import FamilySpec


def test_weights_written_after_a_run_are_halved_as_well(tmp_path):
    config = RwkvConfig(
        vocab_size=48, hidden_size=32, attention_hidden_size=32, intermediate_size=48,
        num_hidden_layers=4, rescale_every=1,
    )  # fmt: skip
    for seed, name in enumerate(("base", "expert")):
        torch.manual_seed(seed)
        model = RwkvForCausalLM(config).eval()
        for parameter in model.parameters():
            parameter.data.add_(0.3 * torch.randn_like(parameter))
        model.save_pretrained(tmp_path / name)
    spec = FamilySpec(tmp_path / "base", {"expert": tmp_path / "expert"})
    family = open_family(spec, text=False)
    merged = MergedModel(*load_module(family.base, "cpu", torch.float32))
    basis = METHODS["task_arithmetic"].build(Tensors(family, torch.device("cpu"), nothing))
    ids = torch.randint(0, 48, (1, 9), generator=torch.Generator().manual_seed(1))
    for name, weight in (("base", 0.0), ("expert", 1.0), ("base", 0.0)):
        merged.write(basis, {"expert": weight}, nothing)
        with torch.inference_mode():
            ours = merged.module(ids).logits
            plain = AutoModelForCausalLM.from_pretrained(tmp_path / name).eval()(ids).logits
        torch.testing.assert_close(ours, plain, atol=1e-4, rtol=1e-4)
