"""generate --map: the document, its text, and that a recipe at a value of it says the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from engine.commands import report
from tests import headless
from tests.families import FamilyFiles, build_tied_family


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("map"))


def written(root: Path, method: str, **coefficients: float) -> Path:
    file = root / f"{method}.yaml"
    file.write_text(yaml.safe_dump({"method": method, "coefficients": coefficients}))
    return file


def test_the_map_of_a_slider(files: FamilyFiles, tmp_path: Path) -> None:
    study = files.study("helpful", name="mapped")
    recipe = written(tmp_path, "proxy_tuning", helpful=0.0)
    asked = ("--prompt", "the quick", "a kind", "--max-new-tokens", "6")
    ran = headless.run(
        tmp_path, "generate", study, "--recipe", recipe, *asked, "--map", "helpful",
        "--map-range", "-1,2",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = ran.document
    assert list(found) == ["recipe", "slider", "range", "outputs"]
    assert found["recipe"]["coefficients"] == {"helpful": 0.0}
    assert (found["slider"], found["range"]) == ("helpful", [-1.0, 2.0])
    assert [each["prompt"] for each in found["outputs"]] == ["the quick", "a kind"]
    parts = found["outputs"][0]["intervals"]
    assert parts[0]["from"] == -1.0 and parts[-1]["to"] == 2.0 and len(parts) > 2
    lines = report.outputs(found).splitlines()
    assert lines[2] == "> the quick" and lines[3].startswith("[helpful -1 to ")
    for place in (1, len(parts) // 2):
        middle = (parts[place]["from"] + parts[place]["to"]) / 2
        at = written(tmp_path, "proxy_tuning", helpful=middle)
        same = headless.run(tmp_path, "generate", study, "--recipe", at, *asked).document
        for key in ("text", "token_ids"):
            assert same["outputs"][0][key] == parts[place][key]


@pytest.mark.parametrize(
    ("method", "words", "said"),
    [
        ("proxy_tuning", ("--map", "helpfull"), "helpful"),
        ("proxy_tuning", ("--map", "helpful", "--map-range", "1"), "range of two numbers"),
        ("proxy_tuning", ("--map", "helpful", "--map-range", "2,1"), "smaller number first"),
        ("proxy_tuning", ("--map-range", "0,1"), "Add --map NAME"),
        ("proxy_tuning", ("--map", "helpful", "--temperature", "1", "--top-p", "0.9"), "top_p"),
        ("task_arithmetic", ("--map", "helpful"), "merges weights"),
        ("dynamic_fusion", ("--map", "helpful", "--map-range", "0.5,1"), "not affine in helpful"),
    ],
)
def test_a_map_that_there_is_not(
    files: FamilyFiles, tmp_path: Path, method: str, words: tuple[str, ...], said: str
) -> None:
    study = files.study("helpful", name="refused")
    recipe = written(tmp_path, method, helpful=1.0)
    ran = headless.run(tmp_path, "generate", study, "--recipe", recipe, "--prompt", "a", *words)
    assert ran.code == 2 and said in ran.err and not ran.out
