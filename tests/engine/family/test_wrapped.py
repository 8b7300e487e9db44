from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from engine.errors import BadInput
from engine.family.checkpoint import open_checkpoint
from engine.family.compatibility import open_family
from engine.study import FamilySpec
from tests.families import FamilyFiles

WEIGHT = "model.layers.0.self_attn.q_proj.weight"


def prefixed(place: Path, put: tuple[str, str]) -> None:
    file = place / "model.safetensors"
    tensors = {name.replace(*put, 1): each for name, each in load_file(file).items()}
    save_file(tensors, file)


@pytest.mark.parametrize(
    ("put", "named"),
    [
        (("model.", "_orig_mod.model."), "'_orig_mod.'"),
        (("model.", "module.model."), "'module.'"),
        (("model.", "module._orig_mod.model."), "'module.'"),
        (("model.layers.", "model._orig_mod.layers."), "'_orig_mod.'"),
        (("self_attn.", "_checkpoint_wrapped_module.self_attn."), "'_checkpoint_wrapped_module.'"),
        (("model.", "base_model.model.model."), "'base_model.model.'"),
    ],
)
def test_a_wrapped_model_is_refused(put: tuple[str, str], named: str, files: FamilyFiles) -> None:
    place = files.experts["padded"]
    prefixed(place, put)
    with pytest.raises(BadInput) as caught:
        open_checkpoint(place, "helpful")
    assert named in str(caught.value) and "wrapper" in str(caught.value)


def test_raw_weights_keep_their_names(files: FamilyFiles) -> None:
    place = files.experts["padded"]
    plain = files.root / "plain.safetensors"
    plain.write_bytes((place / "model.safetensors").read_bytes())
    prefixed(place, ("model.", "module.model."))
    family = open_family(FamilySpec(plain, {"a": place / "model.safetensors"}), text=False)
    assert family.experts["a"].tensors[WEIGHT].name == f"module.{WEIGHT}"
