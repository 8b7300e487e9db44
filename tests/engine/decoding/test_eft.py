from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from engine.decoding.fusion import Mixture
from engine.errors import BadInput
from engine.method import METHODS, Names
from engine.recipe import Recipe, resolve
from tests import headless
from tests.families import FamilyFiles, build_tied_family

PAIR = Names(("helpful", "padded"))
LARGE = Names(("helpful", "padded", "terse"), has_target=True)
VALUES = (0.0, 0.1, 0.25, 0.5, 1 / 3, 0.9, 1.0, 1.4)


def built(method: str, names: Names, coefficients: dict[str, float], **parameters: str) -> Mixture:
    recipe = resolve(Recipe(method, coefficients, parameters), names)
    found: Mixture = METHODS[method].build(recipe.coefficients, names, **recipe.parameters)
    return found


@pytest.mark.parametrize("names", [PAIR, LARGE])
@pytest.mark.parametrize("value", VALUES)
def test_it_is_proxy_tuning_with_lambda_and_the_rest(names: Names, value: float) -> None:
    wanted = built("proxy_tuning", names, {"helpful": value, "padded": 1.0 - value})
    assert built("eft", names, {"lambda": value}) == wanted
    turned = built("eft", names, {"lambda": value}, first="padded", second="helpful")
    assert turned == built("proxy_tuning", names, {"padded": value, "helpful": 1.0 - value})


@pytest.mark.parametrize("value", VALUES)
def test_with_the_base_as_the_second_it_scales_one_expert_up(value: float) -> None:
    wanted = built("proxy_tuning", LARGE, {"terse": value})
    assert built("eft", LARGE, {"lambda": value}, first="terse", second="base") == wanted
    alone = Names(("terse",), has_target=True)
    assert resolve(Recipe("eft", {}), alone).parameters == {"first": "terse", "second": "base"}
    assert built("eft", alone, {"lambda": value}) == built("proxy_tuning", alone, {"terse": value})


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"first": "target"}, "no fine-tune of the base"),
        ({"second": "target"}, "no fine-tune of the base"),
        ({"first": "helpful", "second": "helpful"}, "both are helpful"),
    ],
)
def test_models_that_make_no_trade_are_refused(parameters: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        built("eft", LARGE, {"lambda": 0.5}, **parameters)


def test_it_has_one_slider() -> None:
    assert METHODS["eft"].coefficient_names(LARGE) == ("lambda",)
    assert resolve(Recipe("eft", {}), LARGE).parameters == {"first": "helpful", "second": "padded"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("eft"))


def test_the_command_line_writes_the_same_and_sweeps_along_lambda(
    files: FamilyFiles, tmp_path: Path
) -> None:
    study = files.study(
        "helpful", "padded", target=True, name="trade",
        objectives=[{"name": "pick", "data": "data/choice.jsonl", "scorer": "choice", "limit": 2}],
    )  # fmt: skip

    def texts(recipe: dict[str, object]) -> list[list[int]]:
        file = tmp_path / "recipe.yaml"
        file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
        ran = headless.run(
            tmp_path, "generate", study, "--recipe", file, "--prompt", "the quick brown",
            "--prompt", "a kind answer", "--max-new-tokens", 6, "--device", "cpu",
        )  # fmt: skip
        assert ran.code == 0, ran.err
        return [each["token_ids"] for each in ran.document["outputs"]]

    ours = texts({"method": "eft", "coefficients": {"lambda": 0.3}})
    given = {"helpful": 0.3, "padded": 0.7}
    assert ours == texts({"method": "proxy_tuning", "coefficients": given})
    ran = headless.run(
        tmp_path, "sweep", study, "--method", "eft", "--points", 3, "--strategy", "grid",
        "--executor", "inline", "--device", "cpu",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    *points, last = [json.loads(line) for line in ran.out.splitlines()]
    assert last["done"] and last["failed"] == 0
    found = {each["recipe"]["coefficients"]["lambda"] for each in points}
    assert found == {0.0, 0.5, 1.0}
