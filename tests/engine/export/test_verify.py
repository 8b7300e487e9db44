"""What is not the model that was scored does not stay, and why it is not is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.compose import Composer
from engine.export import checkpoint, folder, point
from engine.export.plan import GENERATE
from engine.export.unmerged import shake
from engine.export.verify import NotWhatWasScored, rounding, unequal
from engine.family.compatibility import open_family
from engine.recipe import Recipe
from engine.study import FamilySpec
from tests import oracle

from .test_point import export

MERGED = Recipe("pcb", {"helpful": 1.0})
LORA = Recipe("task_arithmetic", {"terse": 0.8, "formal": 0.6})
FUSED = Recipe("proxy_tuning", {"helpful": 0.8})
COPY = Recipe("single", {}, {"model": "helpful"})
LORA_COPY = Recipe("single", {}, {"model": "terse"})


def edit(file: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


def one_value(tensors: dict[str, Tensor]) -> None:
    name = next(each for each in sorted(tensors) if each.endswith("q_proj.weight"))
    tensors[name] = tensors[name].clone()
    tensors[name][3, 5] += 1.0


def doubled(tensors: dict[str, Tensor]) -> None:
    for name in tensors:
        if "lora_B" in name:
            tensors[name] = 2 * tensors[name]


def damaging(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, damage: Callable[[Path], None]
) -> None:
    """Damage the directory after this writer wrote to it."""
    write = getattr(where, name)

    def then(*args: object, **options: object) -> object:
        result = write(*args, **options)
        damage(next(each for each in reversed(args) if isinstance(each, Path)))
        return result

    monkeypatch.setattr(where, name, then)


def refused(composer: Composer, recipe: Recipe, root: Path, match: str, **options: bool) -> None:
    with pytest.raises(NotWhatWasScored, match=match) as caught:
        export(composer, recipe, root / "out", **options)
    assert caught.value.exit_code == 1
    assert "nothing was kept" in str(caught.value) and "tmp-" not in str(caught.value)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("recipe", [MERGED, LORA], ids=str)
def test_a_changed_tensor_is_named_with_its_first_place(
    composer: Composer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe
) -> None:
    damaging(
        monkeypatch, checkpoint, "write_weights",
        lambda out: edit(out / "model.safetensors", one_value),
    )  # fmt: skip
    said = r"tensor model\.layers\.0\.self_attn\.q_proj\.weight is not what was merged: .* for "
    refused(composer, recipe, tmp_path, said + r".* at \[3, 5\], 1 places in all")


def test_a_tensor_that_is_not_there(
    composer: Composer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drop(tensors: dict[str, Tensor]) -> None:
        del tensors["model.norm.weight"]

    damaging(
        monkeypatch, checkpoint, "write_weights", lambda out: edit(out / "model.safetensors", drop)
    )
    refused(composer, MERGED, tmp_path, r"model\.norm\.weight was not written")


def test_a_configuration_that_runs_the_same_weights_otherwise(
    composer: Composer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(out: Path) -> None:
        config = json.loads((out / "config.json").read_text())
        config["rms_norm_eps"] = 0.1
        (out / "config.json").write_text(json.dumps(config))

    damaging(monkeypatch, checkpoint, "copy_side_files", other)
    refused(composer, MERGED, tmp_path, "reloaded logits differ by .* where 0.0001 is allowed")


def test_an_adapter_that_is_twice_as_strong(
    composer: Composer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaging(
        monkeypatch, composer.adapters, "save_concatenated",
        lambda out: edit(out / "adapter_model.safetensors", doubled),
    )  # fmt: skip
    refused(composer, LORA, tmp_path, "the adapter's logits differ", adapter=True)


@pytest.mark.parametrize(
    ("recipe", "file", "change"),
    [
        (COPY, "model-00001-of-00002.safetensors", one_value),
        (LORA_COPY, "adapter_model.safetensors", doubled),
    ],
)
def test_a_copy_that_is_another_model(
    composer: Composer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    recipe: Recipe, file: str, change: Callable[[dict[str, Tensor]], None],
) -> None:  # fmt: skip
    compare = {name: getattr(point, name) for name in ("_same", "_beside_base")}
    for name, run in compare.items():

        def damaged(composer: Composer, place: Path, *rest: object, run: Callable = run) -> float:
            edit(place / file, change)
            return run(composer, place, *rest)

        monkeypatch.setattr(point, name, damaged)
    refused(composer, recipe, tmp_path, "logits differ")


def test_an_adapter_that_merging_does_not_read(
    composer: Composer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The merge would be verified against itself; the adapter as it was scored says otherwise."""
    monkeypatch.setattr(type(composer.tensors), "delta", lambda *_: None)
    refused(composer, LORA, tmp_path, "the unrounded merge's logits differ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("total = logits[0] * weights[0]", "total = logits[0] * 1.01"),
        ('own["position_ids"] = model', 'own["position_ids"] = 0 * model'),
        ("return self.fused(outputs, model_kwargs)", "raise KeyError('state')"),
    ],
)
def test_a_folder_that_decodes_otherwise(
    composer: Composer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    def other(out: Path) -> None:
        code = (out / GENERATE).read_text()
        assert old in code
        (out / GENERATE).write_text(code.replace(old, new))

    damaging(monkeypatch, folder, "copy_side_files", other)
    refused(composer, FUSED, tmp_path, "the folder('s logits differ| does not decode)")


def test_an_adapter_under_names_that_peft_leaves_out_is_written_under_those_it_reads(
    root: Path, tmp_path: Path
) -> None:
    """A copy of its file would be the base for everybody who loads it."""
    place = tmp_path / "odd"
    shutil.copytree(root / "terse", place)
    tensors = load_file(place / "adapter_model.safetensors")
    twice = {f"base_model.model.{name}": each for name, each in tensors.items()}
    save_file(twice, place / "adapter_model.safetensors", metadata={"format": "pt"})
    family = open_family(FamilySpec(root / "base", {"odd": place}))
    alone = Recipe("single", {}, {"model": "odd"})
    done = export(Composer(family, device="cpu"), alone, tmp_path / "out")
    assert done.max_logit_difference < 1e-4
    ids = torch.arange(5, 25)[None]
    plain = oracle.unmerged(root / "base", {"e": root / "terse"}, {"e": 1.0})
    again = oracle.unmerged(root / "base", {"e": tmp_path / "out"}, {"e": 1.0})
    with torch.inference_mode():
        wanted, found = plain(ids).logits, again(ids).logits
        assert torch.allclose(found, wanted, atol=1e-5)
        assert not torch.allclose(found, oracle.load(root / "base")(ids).logits, atol=0.1)


def test_processors_and_templates_beside_the_default_come_along(root: Path, tmp_path: Path) -> None:
    from engine.export.layout import model_files, side_files

    place = tmp_path / "seeing"
    shutil.copytree(root / "helpful", place)
    processors = ("preprocessor_config.json", "processor_config.json")
    for name in (*processors, "video_preprocessor_config.json", "consolidated.safetensors"):
        (place / name).write_text("{}")
    (place / "additional_chat_templates").mkdir()
    (place / "additional_chat_templates/tools.jinja").write_text("{{ messages }}")
    names = {str(each.relative_to(place)) for each in model_files(place)}
    brought = {
        *processors,
        "video_preprocessor_config.json",
        "additional_chat_templates/tools.jinja",
    }
    assert brought <= names and "consolidated.safetensors" not in names
    family = open_family(FamilySpec(place, {"helpful": root / "helpful"}))
    assert brought <= {name for name, _ in side_files(family)}
    copy = Recipe("single", {}, {"model": "base"})
    done = export(Composer(family, device="cpu"), copy, tmp_path / "out")
    assert brought <= set(done.files) and all(
        (tmp_path / "out" / each).is_file() for each in brought
    )


def test_a_last_place_is_half_a_unit() -> None:
    values = torch.tensor([1.0, -3.0, 1e-30])
    shaken = values.clone()
    shake(shaken, torch.bfloat16, torch.Generator().manual_seed(0))
    moved = (shaken - values).abs()
    assert moved[0] == 2.0**-8 and moved[1] == 3 * 2.0**-8
    assert 0 < moved[2] < 1e-30


def test_allowances_follow_from_the_type() -> None:
    assert rounding(torch.float32, 1.0) == 1e-4
    assert rounding(torch.float32, 20.0) == pytest.approx(3.05e-4, rel=0.01)
    assert rounding(torch.bfloat16, 20.0) == pytest.approx(1.25)
    assert rounding(torch.float16, 20.0) == pytest.approx(0.156, rel=0.01)


def test_a_difference_says_where() -> None:
    first, second = torch.zeros(2, 3), torch.zeros(2, 3)
    assert unequal(first, second) is None
    second[1, 2] = 4.0
    assert (
        unequal(first, second) == "is not what was merged: 0.0 for 4.0 at [1, 2], 1 places in all"
    )
    assert "torch.bfloat16" in str(unequal(first, second.bfloat16()))
