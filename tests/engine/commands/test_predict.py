"""`predict`: the shipped points' surfaces on the command line, without a model or a worker."""

from __future__ import annotations

from pathlib import Path

from engine.commands.report import REPORTS
from engine.demo import write_demo
from engine.demo.write import demo_in
from tests import headless


def recipe(folder: Path, name: str, *values: float, method: str = "task_arithmetic") -> Path:
    path = folder / f"{name}.yaml"
    given = dict(zip(("helpful", "harmless", "honest"), values, strict=False))
    path.write_text(f"method: {method}\ncoefficients: {given}\n", encoding="utf-8")
    return path


def test_band_calibration_and_extrapolation_are_in_the_document(tmp_path: Path) -> None:
    study = demo_in(tmp_path / "w")
    files = [recipe(tmp_path, "in", 0.7, 0.2, 0.8), recipe(tmp_path, "out", 3.0, 0.2, 0.8)]
    files.append(recipe(tmp_path, "none", 0.5, 0.5, 0.5, method="dare"))
    words = ("--objectives", "facts,refusals", "--device", "cpu")
    found = headless.run(tmp_path / "w", "predict", study, "--recipe", *files, *words).document
    near, far, none = found["points"]
    assert set(near["predicted"]) == {"facts", "refusals"} and near["few"] is None
    for name, each in near["predicted"].items():
        assert each["low"] <= each["mean"] <= each["high"] and 0.6 < each["calibration"] <= 1.0
        assert not each["outside"] and far["predicted"][name]["outside"]
    assert none["predicted"] == {} and none["few"]["need"] == 10
    text = REPORTS["predict"](found)
    assert text.count("extrapolated") == 2 and "(LOO " in text and "too few points" in text


def test_without_a_point_it_is_refused(tmp_path: Path) -> None:
    study = write_demo(tmp_path / "demo")
    ran = headless.run(tmp_path / "w", "predict", study, "--recipe", recipe(tmp_path, "in", 0.7))
    assert ran.code == 2 and "Sweep a method first" in ran.err
