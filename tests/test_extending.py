"""docs/extending.md does what it says: its code adds two methods and a scorer, used everywhere."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from engine.compose import Composer
from engine.errors import BadInput
from engine.export.mergekit import to_mergekit
from engine.family.compatibility import open_family
from engine.method import METHODS
from engine.recipe import Names, Recipe, resolve
from engine.scoring.evaluate import evaluate
from engine.scoring.objectives import prepare
from engine.scoring.registry import SCORERS
from engine.study import Study, load_study
from studio.charts.tradeoff import tradeoff
from studio.points.recipes import recipe_text
from studio.points.view import Measured, axes_of
from studio.study_editor import document_of, scorer_text, scorers
from tests.engine.jobs.small import build_small_study
from tests.engine.merging.conftest import raw_tensors
from ui import address
from ui.recipe import methods

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
OBJECTIVES = (
    {"name": "starts", "data": "rows.jsonl", "scorer": "begins", "letters": 1, "max_new_tokens": 3},
    {"name": "cost", "scorer": "cost"},
)
ADDED = ("dropped", "amplified")


def blocks() -> dict[str, str]:
    """Path -> code of the blocks of the page that name a file."""
    found = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return dict(found)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModuleType]]:
    """The page's files, imported from a folder of their own; taken from the registries again."""
    folder = tmp_path_factory.mktemp("extending")
    before = [(each, dict(each)) for each in (METHODS, SCORERS)]
    modules = {}
    for name, code in blocks().items():
        place = folder / Path(name).name
        place.write_text(code, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(f"added_{place.stem}", place)
        assert spec is not None and spec.loader is not None
        modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(modules[name])
    yield modules
    for registry, entries in before:
        registry.clear()
        registry.update(entries)


@pytest.fixture(scope="module")
def study(written: object, tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = tmp_path_factory.mktemp("small")
    return load_study(build_small_study(root, objectives=OBJECTIVES))


def recipe(method: str, names: Names, **parameters: float) -> Recipe:
    return resolve(Recipe(method, {"helpful": 0.7}, parameters), names)


def test_each_wing_and_the_scorers_have_a_file_and_a_test_on_the_page() -> None:
    folders = [Path(name).parent.as_posix() for name in blocks()]
    for each in ("engine/merging", "engine/decoding", "engine/scoring"):
        assert folders.count(each) == folders.count(f"tests/{each}") == 1


def test_the_tests_on_the_page_pass(written: dict[str, ModuleType], tmp_path: Path) -> None:
    ran = 0
    for module in written.values():
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_"):
                fixtures = {"make": lambda models: raw_tensors(tmp_path, models)}
                test(**{each: fixtures[each] for each in inspect.signature(test).parameters})
                ran += 1
    assert ran == 3


def test_what_was_added_is_composed_and_scored(study: Study) -> None:
    objectives = prepare(study)
    composer = Composer(open_family(study.family), device="cpu")
    for method in ADDED:
        model = composer.compose(recipe(method, study.family.names))
        scored = evaluate(model, objectives, base=lambda: composer.module("base"))
        found = {each.name: score for each, score, _ in scored}
        assert found["starts"].error is None and found["starts"].n > 0, method
        assert found["cost"].mean == pytest.approx(1.0 if method == "dropped" else 2.0)


def test_the_studio_shows_them_like_any_other(study: Study) -> None:
    names = study.family.names
    assert set(ADDED) <= set(methods()) and "begins" in scorers()
    assert "the answer begins with one of the targets" in scorer_text("begins")
    assert document_of({"name": "s", "data": "d", "scorer": "begins", "letters": 2})["letters"] == 2
    axes = axes_of(prepare(study))
    assert (axes[0].unit, axes[0].maximize) == ("share of examples", True)

    recipes = tuple(recipe(method, names) for method in ADDED)
    changed = recipe("dropped", names, drop=0.9)
    assert recipe_text(changed) == "dropped(helpful 0.7) [drop 0.9]"
    mean = np.array([[0.2, 1.0], [0.1, 2.0]])
    ids, count = ("a" * 12, "b" * 12), np.full(mean.shape, 12)
    points = Measured(("starts", "cost"), ids, recipes, mean, np.zeros(mean.shape), count)
    drawn = str(tradeoff(points, axes, axes))
    assert "'symbol': 'x'" in drawn and "'symbol': 'hourglass'" in drawn

    asked = {key: value for key, value in address.of_recipe(changed, names).items() if value}
    assert address.to_recipe(asked, names) == changed
    assert all(to_mergekit(each, {}, "float32") is None for each in recipes)
    with pytest.raises(BadInput, match="Did you mean drop"):
        recipe("dropped", names, dropp=0.9)


def in_hand(path: str) -> None:
    from pathlib import Path

    from engine.study import load_study
    from ui import recipe

    study = load_study(Path(path))
    recipe.hand().method = "dropped"
    recipe.recipe_in_hand(study, study.family.names)


def test_a_newcomer_reads_what_it_does_beside_its_slider(study: Study) -> None:
    at = AppTest.from_function(in_hand, args=(str(study.path),), default_timeout=30).run()
    assert not at.exception
    assert "Adds a random part of what each expert learned" in at.text[0].value
    assert [(each.label, each.help) for each in at.slider] == [
        ("helpful", METHODS["dropped"].slider)
    ]
    found = {each.label: each.help for each in at.number_input}
    assert found["drop"].startswith("Share of each expert's changes that is dropped.")
    assert "Allowed: [0, 1)." in found["drop"]
    assert set(found) == {"drop", "seed", "strength", "groups"}
