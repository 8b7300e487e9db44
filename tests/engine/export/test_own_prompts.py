"""Exported folders whose models read prompts of their own say our tokens in plain transformers."""

from __future__ import annotations

import json
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from engine.compose import Composer
from engine.composed import ComposedModel
from engine.decoding.loop import generate
from engine.export.plan import plan_export
from engine.family.compatibility import open_family
from engine.recipe import Recipe, resolve
from engine.study import load_study
from tests import headless
from tests.families import FamilyFiles, build_tied_family

OWN = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}{{ mood }}:"
WORDS = {
    "helpful": {"template": "own.jinja", "system": "be kind", "prefix": "kind: "},
    "padded": {"prefix": "Question: "},
}
PROXY = Recipe("proxy_tuning", {"helpful": 0.8, "padded": -0.5})
GUIDED = Recipe(
    "guidance", {"scale": 0.7, "negative": 0.6}, {"expert": "helpful", "negative_prompt": "be 'r'"}
)
TEXTS = [
    "the quick brown", "a kind answer turns away anger", "never", "what is one plus two",
    "the", "an honest answer is short", "quick brown foxes", "a kind answer",
]  # fmt: skip
CHATS = [
    [*([{"role": "system", "content": "short"}] * (place % 2)), {"role": "user", "content": text}]
    for place, text in enumerate(TEXTS)
]
MOOD = {"mood": "gently"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    found = build_tied_family(tmp_path_factory.mktemp("prompts"))
    (found.root / "own.jinja").write_text(OWN, encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def study(files: FamilyFiles) -> Path:
    place = files.study("helpful", "padded")
    document = yaml.safe_load(place.read_text(encoding="utf-8"))
    document["family"]["templates"] = WORDS
    place.write_text(yaml.safe_dump(document), encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def composer(study: Path) -> Composer:
    return Composer(open_family(load_study(study).family))


@pytest.fixture(scope="module")
def models(files: FamilyFiles) -> dict[str, PreTrainedModel]:
    places = {"base": files.base, **{name: files.experts[name] for name in ("helpful", "padded")}}
    return {
        name: AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).eval()
        for name, place in places.items()
    }


@pytest.fixture(scope="module")
def folders(
    study: Path, files: FamilyFiles, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Method -> its exported folder, verified."""
    root = tmp_path_factory.mktemp("exported")
    found = {}
    for recipe in (PROXY, GUIDED):
        place = root / f"{recipe.method}.yaml"
        place.write_text(recipe.to_yaml(), encoding="utf-8")
        found[recipe.method] = root / recipe.method
        ran = headless.run(root / "home", "export", study, "--recipe", place, found[recipe.method])
        assert ran.code == 0 and ran.document["verified"], ran.err
        assert ran.document["max_logit_difference"] < 1e-4
    return found


def ours(composer: Composer, model: ComposedModel, chat: bool, count: int) -> list[list[int]]:
    def ids(text: Any) -> list[list[int]]:
        if chat:
            return [text.encode_messages(each, MOOD) for each in CHATS[:count]]
        return [text.encode(each) for each in TEXTS[:count]]

    own = {place: ids(text) for place, text in model.own.items()}
    ends = composer.text.end_ids
    found = generate(model, ids(model.text), max_new_tokens=10, end_ids=ends, own=own)
    return [list(each.token_ids) for each in found]


def theirs(
    composer: Composer, folder: Path, models: dict[str, PreTrainedModel], asked: list[Any],
    names: set[str], **more: Any,
) -> list[list[int]]:  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = models["base"].generate(
        asked=asked, tokenizer=tokenizer, custom_generate=str(folder), trust_remote_code=True,
        models={name: models[name] for name in names - {"base"}}, max_new_tokens=10,
        repetition_penalty=1.0, **more,
    )  # fmt: skip
    text, ends = composer.text, composer.text.end_ids
    read = [
        text.encode(each) if isinstance(each, str) else text.encode_messages(each, MOOD)
        for each in asked
    ]
    width = max(map(len, read))
    rows = found[:, width:].tolist()
    return [list(takewhile(lambda token: token not in ends, each)) for each in rows]


@pytest.mark.parametrize("recipe", [PROXY, GUIDED], ids=str)
@pytest.mark.parametrize("chat", [True, False])
def test_plain_transformers_says_the_same_tokens(
    composer: Composer, folders: dict[str, Path], models: dict[str, PreTrainedModel],
    recipe: Recipe, chat: bool,
) -> None:  # fmt: skip
    model = composer.compose(resolve(recipe, composer.family.names))
    assert model.own and model.mixture is not None
    asked: list[Any] = list(CHATS if chat else TEXTS)
    names, folder = set(model.mixture.models), folders[recipe.method]
    more: dict[str, Any] = {"template_kwargs": MOOD} if chat else {}
    wanted = ours(composer, model, chat, 8)
    assert len(set(map(tuple, wanted))) == 8
    together = theirs(composer, folder, models, asked, names, **more)
    assert together == wanted
    alone = theirs(composer, folder, models, asked[1:2], names, **more)
    assert alone == wanted[1:2]
    beamed = theirs(composer, folder, models, asked[:3], names, num_beams=2, **more)
    assert len(beamed) == 3
    drawn = theirs(
        composer, folder, models, asked[:2], names, num_return_sequences=3, do_sample=True,
        top_k=1, **more,
    )  # fmt: skip
    assert drawn == [row for row in wanted[:2] for _ in range(3)]


def test_the_card_says_how_and_the_plan_how_large(
    composer: Composer, folders: dict[str, Path]
) -> None:
    for recipe in (PROXY, GUIDED):
        folder = folders[recipe.method]
        assert '"asked": prompts' in (folder / "README.md").read_text(encoding="utf-8")
        plan = plan_export(composer.family, resolve(recipe, composer.family.names))
        [planned] = [each for each in plan.files if each.name == "custom_generate/generate.py"]
        size = (folder / planned.name).stat().st_size
        assert abs(planned.bytes - size) < 0.05 * size
    manifest = json.loads((folders["guidance"] / "paretoscope.json").read_text(encoding="utf-8"))
    assert manifest["recipe"]["parameters"]["negative_prompt"] == "be 'r'"


def test_the_code_of_the_card_runs_as_it_is(
    files: FamilyFiles, folders: dict[str, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = folders["proxy_tuning"]
    for name, place in {"base": files.base, **files.experts, folder.name: folder}.items():
        (tmp_path / name).symlink_to(place)
    text = (folder / "README.md").read_text(encoding="utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec(code, {})
    assert capsys.readouterr().out.startswith("['Who wrote Hamlet?")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"input_ids": torch.ones(1, 3).long()}, "prompts: helpful.* read words of their own"),
        ({"asked": ["a"]}, "asked: pass one text or more, and tokenizer"),
        ({"asked": [], "tokenizer": 1}, "asked: pass one text or more"),
        (
            {"input_ids": torch.ones(2, 3).long(), "prompts": {
                "helpful": {"input_ids": torch.ones(1, 3).long()},
                "padded": {"input_ids": torch.ones(2, 3).long()}}},
            "prompts: 1 rows of helpful, but 2",
        ),
        (
            {"input_ids": torch.ones(1, 3).long(), "prompts": {
                "helpful": {"input_ids": torch.ones(1, 3).long()}, "other": {},
                "padded": {"input_ids": torch.ones(1, 3).long()}}},
            "prompts: unknown other",
        ),
        (
            {"input_ids": torch.ones(1, 2).long(), "prompts": {
                "helpful": {"input_ids": torch.ones(1, 2).long(),
                            "attention_mask": torch.tensor([[1, 0]])},
                "padded": {"input_ids": torch.ones(1, 2).long()}}},
            "helpful is padded on the right",
        ),
        (
            {"input_ids": torch.ones(1, 2).long(), "position_ids": torch.zeros(1, 2).long()},
            "position_ids: ",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_by_name(
    folders: dict[str, Path], models: dict[str, PreTrainedModel], given: dict[str, Any], said: str
) -> None:
    others = {name: models[name] for name in ("helpful", "padded")}
    with pytest.raises(ValueError, match=said):
        models["base"].generate(
            custom_generate=str(folders["proxy_tuning"]), trust_remote_code=True, models=others,
            max_new_tokens=4, **given,
        )  # fmt: skip
