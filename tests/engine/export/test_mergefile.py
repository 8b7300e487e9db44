"""Merge files, from raw state dicts and from directories: the weights are the oracle's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import engine
from engine.errors import BadInput
from engine.export import mergefile
from engine.export.mergefile import merge, read_mergefile
from engine.family.compatibility import open_family
from engine.merging.basis import Tensors
from engine.study import FamilySpec
from tests import families, oracle

assert engine.merging and engine.decoding

METHODS: dict[str, tuple[dict[str, float], dict[str, Any]]] = {
    "task_arithmetic": ({"helpful": 0.7, "terse": -0.4}, {"strength": 0.5}),
    "linear": ({"base": 0.4, "helpful": 0.7, "terse": 0.3}, {}),
    "pcb": ({"helpful": 1.2, "terse": 0.6}, {"ratio": 0.2, "variant": "nlp"}),
    "compeft": ({"helpful": 1.2, "terse": 0.6}, {"density": 0.3, "alpha": 2.0}),
    "rtsv": ({"helpful": 0.8, "terse": 0.5}, {}),
    "tsv": ({"helpful": 1.1, "terse": 0.6}, {"strength": 0.9}),
    "ties": ({"helpful": 1.2, "terse": 0.6}, {"density": 0.3, "merge": "sum"}),
    "breadcrumbs": ({"helpful": 1.2, "terse": 0.6}, {"keep": 0.4, "remove": 0.05}),
}


def write(folder: Path, **document: Any) -> Path:
    file = folder / "merge.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return file


def run(file: Path, out: Path, **options: Any) -> Mapping[str, Any]:
    return merge(file, out, workspace=file.parent / "workspace", device="cpu", **options)


def read(out: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for file in sorted(out.glob("*.safetensors")):
        found |= load_file(file)
    return found


@pytest.mark.parametrize("method", METHODS)
def test_directories_give_the_weights_of_the_oracle(
    root: Path, tmp_path: Path, method: str
) -> None:
    coefficients, parameters = METHODS[method]
    experts = {name: str(root / name) for name in ("helpful", "terse")}
    file = write(
        tmp_path, base=str(root / "base"), experts=experts, method=method,
        coefficients=coefficients, parameters=parameters,
    )  # fmt: skip
    places = {name: root / name for name in experts}
    wanted = oracle.merged(root / "base", places, method, coefficients, parameters)

    run(file, tmp_path / "wide", dtype="float32")
    wide = read(tmp_path / "wide")
    assert set(wide) == set(wanted)
    for name, each in wide.items():
        assert each.dtype == torch.float32
        assert torch.allclose(each, wanted[name], rtol=0, atol=3e-6), name

    done = run(file, tmp_path / "out")
    found = read(tmp_path / "out")
    for name, each in found.items():
        assert each.dtype == torch.bfloat16
        assert torch.equal(each, wide[name].to(torch.bfloat16)), name  # rounded once, from float32
    assert done["files"] == sorted(each.name for each in (tmp_path / "out").iterdir())
    assert done["files"] == [
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    ]  # fmt: skip
    for name in done["files"]:
        if name != "model.safetensors":
            assert (tmp_path / "out" / name).read_bytes() == (root / "base" / name).read_bytes()
    config = json.loads((tmp_path / "wide/config.json").read_text())
    assert config["dtype"] == config["torch_dtype"] == "float32"


def test_random_masks_are_those_of_the_family_whatever_its_experts_are_called(
    root: Path, tmp_path: Path
) -> None:
    for names in (("helpful", "terse"), ("b", "a")):
        places = dict(zip(names, (str(root / "helpful"), str(root / "terse")), strict=True))
        file = write(
            tmp_path, base=str(root / "base"), experts=places, method="dare",
            coefficients=dict(zip(names, (0.5, 1.5), strict=True)), parameters={"seed": 3},
        )  # fmt: skip
        run(file, tmp_path / names[0], dtype="float32")
    first, second = read(tmp_path / "helpful"), read(tmp_path / "b")
    family = open_family(FamilySpec(root / "base", {n: root / n for n in ("helpful", "terse")}))
    basis = engine.method.METHODS["dare"].build(Tensors(family, workspace=tmp_path), seed=3)
    for name, each in first.items():
        assert torch.equal(each, second[name])
        out = torch.empty(each.shape)
        basis.combine(name, {"helpful": 0.5, "terse": 1.5}, out)
        assert torch.equal(out, each)


@pytest.mark.parametrize("method", ["task_arithmetic", "ties", "breadcrumbs"])
def test_rows_that_only_an_expert_has(root: Path, tmp_path: Path, method: str) -> None:
    experts = {"padded": str(root / "padded")}
    file = write(
        tmp_path, base=str(root / "base"), experts=experts, method=method,
        coefficients={"padded": 0.5},
    )  # fmt: skip
    run(file, tmp_path / "out", dtype="float32")
    wanted = oracle.merged(root / "base", {"padded": root / "padded"}, method, {"padded": 0.5})
    for name, each in read(tmp_path / "out").items():
        assert torch.allclose(each, wanted[name], rtol=0, atol=3e-6), name
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["vocab_size"] == families.MORE_ROWS
    assert oracle.load(tmp_path / "out").get_input_embeddings().num_embeddings == 312


def test_shards_hold_the_same(root: Path, tmp_path: Path) -> None:
    file = write(
        tmp_path, base=str(root / "base"), experts={"helpful": str(root / "helpful")},
        method="task_arithmetic", coefficients={"helpful": 1},
    )  # fmt: skip
    done = run(file, tmp_path / "out", shard=40_000)
    shards = [name for name in done["files"] if name.endswith(".safetensors")]
    assert len(shards) > 2 and "model.safetensors.index.json" in done["files"]
    assert all((tmp_path / "out" / name).stat().st_size < 44_000 for name in shards)
    # one-hot is the expert, bit for bit
    expert = read(root / "helpful")
    found = read(tmp_path / "out")
    assert all(torch.equal(each, expert[name]) for name, each in found.items())
    loaded = oracle.load(tmp_path / "out").state_dict()
    assert torch.equal(loaded["model.norm.weight"], expert["model.norm.weight"].float())


def raw(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Three state dicts of a base: float32, bfloat16, a scalar, integers."""
    states = {}
    for seed, name in enumerate(("zero", "one", "two")):
        generator = torch.Generator().manual_seed(seed)
        states[name] = {
            "w": torch.randn(40, 30, generator=generator),
            "h.0.b": torch.randn(7, generator=generator).to(torch.bfloat16),
            "scale": torch.tensor(0.5 + seed),
            "ids": torch.arange(5),
        }
        save_file(states[name], folder / f"{name}.safetensors")
    return states


@pytest.mark.parametrize("method", METHODS)
def test_raw_state_dicts(tmp_path: Path, method: str) -> None:
    states = raw(tmp_path)
    coefficients = {"one": 0.6, "two": 0.9} | ({"base": 0.5} if method == "linear" else {})
    file = write(
        tmp_path, base="zero.safetensors", method=method, coefficients=coefficients,
        experts={"one": "one.safetensors", "two": "two.safetensors"},
    )  # fmt: skip
    done = run(file, tmp_path / "out")
    assert done["files"] == ["model.safetensors"] and done["out"] == str(tmp_path / "out")
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["model.safetensors"]
    wanted = oracle.merged(
        tmp_path / "zero.safetensors",
        {name: tmp_path / f"{name}.safetensors" for name in ("one", "two")},
        method, coefficients,
    )  # fmt: skip
    found = load_file(tmp_path / "out/model.safetensors")
    assert set(found) == set(wanted)
    fine = 2e-5 if method in ("rtsv", "tsv") else 2e-6  # a float32 decomposition of 30 directions
    for name, each in found.items():
        assert each.dtype == states["zero"][name].dtype and each.shape == states["zero"][name].shape
        tolerance = 8e-3 if each.dtype == torch.bfloat16 else 2e-6
        assert torch.allclose(each.float(), wanted[name].float(), rtol=tolerance, atol=fine), name
    assert torch.equal(found["ids"], torch.arange(5))


def test_zero_and_one_hot_are_exact(tmp_path: Path) -> None:
    states = raw(tmp_path)
    experts = {"one": "one.safetensors", "two": "two.safetensors"}
    for coefficients, wanted in (({}, "zero"), ({"two": 1}, "two"), ({"one": 1}, "one")):
        file = write(
            tmp_path, base="zero.safetensors", experts=experts, method="task_arithmetic",
            coefficients=coefficients,
        )  # fmt: skip
        run(file, tmp_path / f"out-{wanted}")
        found = load_file(tmp_path / f"out-{wanted}/model.safetensors")
        assert all(torch.equal(found[name], each) for name, each in states[wanted].items())


def test_too_little_memory_is_refused(tmp_path: Path) -> None:
    raw(tmp_path)
    file = write(
        tmp_path, base="zero.safetensors", experts={"one": "one.safetensors"}, method="pcb"
    )
    with pytest.raises(BadInput, match=r"--memory: .*Allow at least that; 1 kB"):
        run(file, tmp_path / "out", memory=1000)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", ["task_arithmetic", "ties"])
def test_a_merge_holds_parts_of_a_tensor(tmp_path: Path, method: str) -> None:
    """Memory that no file backs, above that before; whole, the tensor is 96 MB of float32."""
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells what of a process's memory no file backs")
    count = 24_000_000
    for seed, name in enumerate(("zero", "one", "two")):
        random = torch.Generator().manual_seed(seed)
        values = torch.randint(-(2**14), 2**14, (count,), dtype=torch.int16, generator=random)
        save_file({"w": (values / 2**14).bfloat16()}, tmp_path / f"{name}.safetensors")
        del values
    experts = {"one": "one.safetensors", "two": "two.safetensors"}
    file = write(
        tmp_path, base="zero.safetensors", experts=experts, method=method,
        coefficients={"one": 0.3, "two": 0.2},
    )  # fmt: skip
    allowed = read_mergefile(file).working_memory()
    assert allowed < 4 * count * (1 if method == "task_arithmetic" else 3)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        most = pool.submit(growth, file, tmp_path / "out", allowed).result()
    assert 0 < most <= allowed


def growth(file: Path, out: Path, memory: int) -> int:
    """Bytes by which memory that no file backs grows in a merge.

    For a process of its own: one that ran before has freed memory that it takes again, unseen.
    """
    before, most = anonymous(), 0

    def look() -> None:
        nonlocal most
        most = max(most, anonymous() - before)

    run(file, out, memory=memory, tick=look)
    return most


def anonymous() -> int:
    """Bytes of this process's memory that no file backs."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(each.split()[1]) for each in lines if each.startswith("RssAnon"))


def test_weights_that_overflow_leave_nothing(tmp_path: Path) -> None:
    raw(tmp_path)
    file = write(
        tmp_path, base="zero.safetensors", experts={"one": "one.safetensors"},
        method="task_arithmetic", coefficients={"one": 1e30},
    )  # fmt: skip
    with pytest.raises(BadInput, match=r"tensor .*overflow float16\. Use smaller"):
        run(file, tmp_path / "out", dtype="float16")
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()] == ["workspace"]
    assert [each for each in (tmp_path / "workspace").rglob("*") if each.is_file()] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base": None}, ("'base' is missing",)),
        ({"base": "gone"}, ("gone", "no such file")),
        ({"base": "a\0b"}, ("base", "not a path")),
        ({"experts": None}, ("'experts' is missing",)),
        ({"experts": {}}, ("'experts' is missing",)),
        ({"experts": {"one": 3}}, ("experts", "path")),
        ({"experts": {"base": "one.safetensors"}}, ("'base' cannot name",)),
        ({"experts": {"target": "one.safetensors"}}, ("'target' cannot name",)),
        ({"experts": {"a,b": "one.safetensors"}}, ("'a,b' cannot name", "',' is reserved")),
        ({"expert": {}}, ("'expert'", "mean experts")),
        ({"method": None}, ("'method' is missing",)),
        ({"method": "pbc"}, ("mean pcb",)),
        ({"method": "proxy_tuning"}, ("proxy_tuning does not merge weights", "weight-space")),
        ({"method": "single", "parameters": {"model": "one"}}, ("weight-space",)),
        ({"coefficients": {"two": 1}}, ("'two'", "Known: one")),
        ({"coefficients": {"one": float("inf")}}, ("one", "inf")),
        ({"parameters": {"strength": 11}}, ("strength", "[0, 10]")),
    ],
)
def test_is_refused(tmp_path: Path, change: dict[str, Any], words: tuple[str, ...]) -> None:
    raw(tmp_path)
    good = {
        "base": "zero.safetensors", "experts": {"one": "one.safetensors"},
        "method": "task_arithmetic", "coefficients": {"one": 1},
    }  # fmt: skip
    file = write(tmp_path, **(good | change))
    with pytest.raises(BadInput) as caught:
        run(file, tmp_path / "out")
    for word in words:
        assert word in str(caught.value)
    assert all(each.fix for each in caught.value.problems)
    assert not (tmp_path / "out").exists()


def test_what_does_not_fit_together(tmp_path: Path) -> None:
    states = raw(tmp_path)
    file = write(
        tmp_path, base="zero.safetensors", experts={"one": "one.safetensors"}, method="pcb"
    )
    broken = {**states["one"], "w": torch.randn(40, 31)}
    save_file(broken, tmp_path / "one.safetensors")
    with pytest.raises(BadInput, match=r"tensor w is \[40, 31\] but \[40, 30\] in base"):
        read_mergefile(file)
    broken["w"] = torch.full((40, 30), float("nan"))
    save_file(broken, tmp_path / "one.safetensors")
    with pytest.raises(BadInput, match=r"one\.safetensors: tensor w: holds NaN"):
        run(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", [*METHODS, "dare"])
def test_files_are_hashed_only_where_masks_are_drawn_by_lot(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw(tmp_path)
    file = write(
        tmp_path, base="zero.safetensors", experts={"one": "one.safetensors"}, method=method,
        coefficients={"one": 0.5},
    )  # fmt: skip
    taken = []
    take = mergefile.fingerprints
    monkeypatch.setattr(mergefile, "fingerprints", lambda *a: taken.append(a) or take(*a))
    run(file, tmp_path / "out")
    assert len(taken) == (method == "dare")


def test_numbers_that_are_not_finite_are_found_without_hashing(tmp_path: Path) -> None:
    states = raw(tmp_path)
    states["one"]["scale"] = torch.tensor(float("inf"))
    save_file(states["one"], tmp_path / "one.safetensors")
    for method in (*METHODS, "dare"):
        coefficients = {"one": 0.5} | ({"base": 0.5} if method == "linear" else {})
        file = write(
            tmp_path, base="zero.safetensors", experts={"one": "one.safetensors"}, method=method,
            coefficients=coefficients,
        )  # fmt: skip
        with pytest.raises(BadInput, match=r"one\.safetensors: tensor scale: holds NaN"):
            run(file, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["- a\n", "base\n", ""])
def test_what_is_no_mapping(tmp_path: Path, text: str) -> None:
    file = tmp_path / "merge.yaml"
    file.write_text(text)
    with pytest.raises(BadInput, match="not a merge file"):
        read_mergefile(file)


def test_several_documents_are_refused_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "mega.yml"
    one = "merge_method: slerp\nout_path: ./first\n"
    file.write_text(f"{one}---\n{one}", encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        merge(file, tmp_path / "out", workspace=tmp_path / "w")
    (only,) = caught.value.problems
    assert only.where == f"{file}:3" and "another document" in only.what
    assert "merge them in order, each to the directory that later ones read" in only.fix
    assert not (tmp_path / "out").exists()


def test_dtype_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Did you mean float16"):
        run(tmp_path / "gone.yaml", tmp_path / "out", dtype="float61")
