from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from engine.compose import Composer
from engine.decoding.fusion import Mixture, combine
from engine.decoding.loop import generate
from engine.decoding.prefixes import Prefixes
from engine.decoding.replay import Kept
from engine.errors import BadInput
from engine.family.compatibility import open_family
from engine.method import METHODS, Names
from engine.recipe import Recipe, resolve
from engine.study import load_study
from tests import headless
from tests.families import FamilyFiles, build_tied_family

NAMES = Names(("helpful", "padded"))
RUDE = "be rude, say: no (never); 100%"
ENDS = frozenset(range(5, 500, 9))


def recipe(scale: float, negative: float, **parameters: str) -> Recipe:
    given = {"scale": scale, "negative": negative}
    return resolve(Recipe("guidance", given, parameters), NAMES)


def built(scale: float, negative: float, **parameters: str) -> Mixture:
    made = recipe(scale, negative, **parameters)
    found: Mixture = METHODS["guidance"].build(made.coefficients, NAMES, **made.parameters)
    return found


def test_no_scale_is_the_expert_and_no_negative_no_third_pass():
    assert built(0.0, 0.0) == Mixture(("helpful",), (1.0,))
    assert built(0.0, 0.0, expert="padded", negative_prompt=RUDE) == Mixture(("padded",), (1.0,))
    assert built(0.5, 0.0, negative_prompt=RUDE) == Mixture(("helpful", "base"), (1.5, -0.5))
    three = built(0.5, 0.25, negative_prompt=RUDE)
    assert three.passes == (("helpful", None), ("base", None), ("helpful", RUDE))
    assert three.weights == (1.5, -0.5, -0.25)
    assert built(2.0, 0.0, expert="base") == Mixture(("base",), (1.0,))


def test_it_has_sliders_of_its_own():
    assert METHODS["guidance"].coefficient_names(NAMES) == ("scale", "negative")
    assert recipe(1.0, 0.0).parameters == {"expert": "helpful", "negative_prompt": ""}
    with pytest.raises(BadInput, match="expected a string"):
        resolve(Recipe("guidance", {}, {"negative_prompt": 3}), NAMES)


def test_a_model_stands_twice_only_with_other_words():
    with pytest.raises(ValueError, match="listed twice"):
        Mixture(("a", "a"), (1.0, 1.0))
    with pytest.raises(ValueError, match="listed twice"):
        Mixture(("a", "a"), (1.0, 1.0), instead=("x", "x"))


def test_it_is_the_published_formula_in_float64():
    source = torch.Generator().manual_seed(3)
    logits = [torch.randn(40, 60, generator=source) for _ in range(3)]
    expert, base, negative = (each.double().log_softmax(-1) for each in logits)
    wanted = (1 + 0.7 * 1) * expert - 0.7 * base - 0.4 * negative
    found = combine(built(0.7, 0.4), [each.clone() for each in logits])
    assert torch.allclose(found.double().log_softmax(-1), wanted.log_softmax(-1), atol=2e-6)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("guided"))


@pytest.fixture(scope="module")
def study(files: FamilyFiles) -> Path:
    place = files.study("helpful", "padded")
    document = yaml.safe_load(place.read_text(encoding="utf-8"))
    document["family"]["templates"] = {"helpful": {"system": "be kind", "prefix": "kind "}}
    place.write_text(yaml.safe_dump(document), encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def composer(study: Path) -> Composer:
    return Composer(open_family(load_study(study).family))


def test_the_expert_is_counted_for_each_pass(composer: Composer):
    def cost(scale: float, negative: float) -> float:
        return composer.compose(recipe(scale, negative, negative_prompt=RUDE)).cost

    assert cost(0.0, 0.0) == composer.module("helpful").cost
    assert cost(0.5, 0.0) == pytest.approx(cost(0.0, 0.0) + 1.0)
    assert cost(0.5, 0.5) == pytest.approx(2 * cost(0.0, 0.0) + 1.0)


def read(composer: Composer, prompt: str, chat: bool) -> list[list[int]]:
    """What the passes read, written by hand: the expert, the base, the expert again."""
    tokenizer = composer.text.tokenizer
    if not chat:
        texts = [f"kind {prompt}", prompt, f"{RUDE}{prompt}"]
        return [
            [*composer.text.opening, *tokenizer(text, add_special_tokens=False)["input_ids"]]
            for text in texts
        ]
    said = [{"role": "user", "content": prompt}]
    chats = [[{"role": "system", "content": each}, *said] for each in ("be kind", RUDE)]
    rendered = [
        tokenizer.apply_chat_template(each, add_generation_prompt=True, tokenize=False)
        for each in (chats[0], said, chats[1])
    ]
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in rendered]


@pytest.mark.parametrize("chat", [True, False])
def test_texts_are_those_of_three_plain_passes(
    composer: Composer, study: Path, files: FamilyFiles, tmp_path: Path, chat: bool
):
    place = files.root / "guided.yaml"
    place.write_text(recipe(0.8, 0.6, negative_prompt=RUDE).to_yaml(), encoding="utf-8")
    prompts = ["the red stones", "a", "why is the sea kind to a stone"]
    ran = headless.run(
        tmp_path, "generate", study, "--recipe", place, "--max-new-tokens", 10,
        *(word for each in prompts for word in ("--prompt", each)), *["--chat"] * chat,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    model = composer.compose(recipe(0.8, 0.6, negative_prompt=RUDE))
    assert model.modules[0] is model.modules[2]
    assert model.mixture is not None
    for prompt, found in zip(prompts, ran.document["outputs"], strict=True):
        ids, said = read(composer, prompt, chat), list[int]()
        while len(said) < 10:
            total = torch.zeros(1, dtype=torch.float64)
            for own, module, weight in zip(ids, model.modules, model.mixture.weights, strict=True):
                logits = module(input_ids=torch.tensor([[*own, *said]])).logits[0, -1]
                total = total + weight * logits[: model.rows].double().log_softmax(-1)
            token = int(total[: model.vocabulary].argmax())
            if token in composer.text.end_ids:
                break
            said.append(token)
        assert found["token_ids"] == said


def test_rows_are_the_same_alone_and_together(composer: Composer):
    model = composer.compose(recipe(0.8, 0.6, negative_prompt=RUDE))
    prompts = [" ".join(["the", "red", "sea", "stones"] * 3)[: 5 * n + 1] for n in range(8)]
    ids = [model.text.encode(each) for each in prompts]
    own = {place: [text.encode(each) for each in prompts] for place, text in model.own.items()}
    together = generate(model, ids, max_new_tokens=12, end_ids=ENDS, own=own)
    assert len({len(each.token_ids) for each in together}) > 2
    for row, found in enumerate(together):
        theirs = {place: [each[row]] for place, each in own.items()}
        [alone] = generate(model, [ids[row]], max_new_tokens=12, end_ids=ENDS, own=theirs)
        assert alone == found


def test_texts_are_replayed_with_the_words_that_were_read(composer: Composer):
    prefixes = Prefixes()
    prompts = ["the red stones", "why is the sea", "a"]
    for scale, negative, prompt in ((0.8, 0.6, RUDE), (0.7, 0.6, RUDE), (0.7, 0.6, "be brief")):
        model = composer.compose(recipe(scale, negative, negative_prompt=prompt))
        ids = [model.text.encode(each) for each in prompts]
        own = {place: [text.encode(each) for each in prompts] for place, text in model.own.items()}
        plain = generate(model, ids, max_new_tokens=12, end_ids=ENDS, own=own)
        for _ in range(2):  # the second time from what is kept
            found = generate(
                model, ids, max_new_tokens=12, end_ids=ENDS, own=own, kept=Kept(prefixes)
            )
            assert found == plain
