"""Each model in its own words: `templates:` of a study file, from the file to every token."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from engine.compose import Composer
from engine.composed import ComposedModel
from engine.errors import BadInput
from engine.family.compatibility import open_family
from engine.family.fingerprint import family_fingerprint
from engine.family.words import Words
from engine.recipe import Names, Recipe, resolve
from engine.scoring.choices import choice_sums
from engine.scoring.data import Row
from engine.scoring.encoding import encoder
from engine.scoring.evaluate import evaluate
from engine.scoring.objectives import prepare
from engine.scoring.own_words import shared_space
from engine.study import Objective, Study, load_study
from studio.modelling import checks
from studio.points.predicting import anchor
from tests import headless
from tests.families import FamilyFiles, build_tied_family

OWN = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}says:"
WORDS = {"helpful": {"template": "own.jinja", "system": "be kind"}, "base": {"prefix": "the sea "}}
PROXY = {"method": "proxy_tuning", "coefficients": {"helpful": 1.5}}
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    found = build_tied_family(tmp_path_factory.mktemp("words"))
    (found.root / "own.jinja").write_text(OWN, encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def write(files: FamilyFiles) -> Write:
    """Write a study whose family has these templates."""

    def study(templates: Any, *objectives: Mapping[str, Any], target: bool = True) -> Path:
        place = files.study("helpful", "padded", target=target, name="own")
        document = yaml.safe_load(place.read_text(encoding="utf-8"))
        document["family"]["templates"] = templates
        if objectives:
            document["objectives"] = [dict(each) for each in objectives]
        place.write_text(yaml.safe_dump(document), encoding="utf-8")
        return place

    return study


@pytest.fixture(scope="module")
def study(write: Write) -> Study:
    return load_study(write(WORDS))


@pytest.fixture(scope="module")
def composer(study: Study) -> Composer:
    return Composer(open_family(study.family))


def composed(composer: Composer, recipe: Mapping[str, Any]) -> ComposedModel:
    given = Recipe(recipe["method"], recipe.get("coefficients", {}), recipe.get("parameters", {}))
    return composer.compose(resolve(given, composer.family.names))


def read(composer: Composer, prompt: str, chat: bool) -> dict[str, list[int]]:
    """What each model reads, written by hand."""
    tokenizer = composer.text.tokenizer
    said = [{"role": "user", "content": prompt}]
    plain = tokenizer.apply_chat_template(said, add_generation_prompt=True, tokenize=False)
    own = f"[system] be kind\n[user] {prompt}\nsays:"
    texts = {"helpful": own, "base": plain, "target": plain}
    if not chat:
        texts = {"helpful": prompt, "base": f"the sea {prompt}", "target": prompt}
    opening = [] if chat else list(composer.text.opening)
    return {
        name: [*opening, *tokenizer(text, add_special_tokens=False)["input_ids"]]
        for name, text in texts.items()
    }


def logits(model: ComposedModel, ids: Mapping[str, list[int]], more: list[int]) -> Tensor:
    """float64 [len(more) + 1, ids]: each module reads its own prompt, then `more`, alone."""
    mixture = model.mixture
    assert mixture is not None
    total = torch.zeros(1, dtype=torch.float64)
    for name, module, weight in zip(mixture.models, model.modules, mixture.weights, strict=True):
        given = torch.tensor([[*ids[name], *more]])
        said = module(input_ids=given).logits[0, len(ids[name]) - 1 :, : model.rows].double()
        total = total + weight * said
    total[:, model.vocabulary :] = -torch.inf
    return total


@pytest.mark.parametrize("chat", [True, False])
def test_generate_writes_to_each_model_in_its_own_words(
    composer: Composer, study: Study, files: FamilyFiles, tmp_path: Path, chat: bool
) -> None:
    recipe = files.recipe("proxy_tuning", helpful=1.5)
    prompts = ["the red stones", "a", "why is the sea kind to a stone"]
    ran = headless.run(
        tmp_path, "generate", study.path, "--recipe", recipe, "--max-new-tokens", 10,
        *(word for each in prompts for word in ("--prompt", each)), *["--chat"] * chat,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    model = composed(composer, PROXY)
    assert set(model.own) and model.text is composer.text
    for prompt, found in zip(prompts, ran.document["outputs"], strict=True):
        ids, said = read(composer, prompt, chat), list[int]()
        while len(said) < 10:
            token = int(logits(model, ids, said)[-1].argmax())
            if token in composer.text.end_ids:
                break
            said.append(token)
        assert found["token_ids"] == said


def test_one_model_reads_its_own_words_and_merged_weights_the_familys(composer: Composer) -> None:
    helpful, padded = composer.module("helpful"), composer.module("padded")
    assert (
        not helpful.own
        and helpful.text.encode("a", chat=True) == read(composer, "a", True)["helpful"]
    )
    merged = composed(composer, {"method": "task_arithmetic", "coefficients": {"helpful": 1.0}})
    assert padded.text is composer.text and merged.text is composer.text and not merged.own
    names = composer.family.names
    added, mixed = (
        resolve(Recipe(method, {"helpful": 1.0}), names)
        for method in ("task_arithmetic", "logit_fusion")
    )
    assert anchor(added, "padded", names) is not None and anchor(mixed, "helpful", names)
    assert anchor(added, "helpful", names) is None  # merged weights do not say what it says
    assert anchor(added, "helpful", Names(("helpful", "padded"))) is not None


CHAT = {"chat": True, "report_fraction": 0.0, "limit": 4}
MEASURED = (
    {"name": "loss", "data": "data/texts.jsonl", "scorer": "nll", **CHAT},
    {"name": "drift", "data": "data/contains.jsonl", "scorer": "kl_to_base", **CHAT,
     "max_new_tokens": 5},
    {"name": "pick", "data": "data/choice.jsonl", "scorer": "choice", **CHAT},
)  # fmt: skip


def test_scores_are_those_of_models_that_read_their_own(write: Write, composer: Composer) -> None:
    objectives = prepare(load_study(write(WORDS, *MEASURED)))
    model = composed(composer, PROXY)
    found = {
        each.name: (score, metadata)
        for each, score, metadata in evaluate(
            model, objectives, base=lambda: composer.module("base")
        )
    }
    rows = [json.loads(each) for each in (composer.family.spec.base.parent / "data" / "texts.jsonl")
            .read_text(encoding="utf-8").splitlines()]  # fmt: skip
    wanted = {}
    for row in rows:
        target = row.get("target") or row["targets"][0]
        ids = read(composer, row["prompt"], chat=True)
        # no prompt ends with whitespace in all words, so that nothing of it goes with the target
        whole = composer.text.render([{"role": "user", "content": row["prompt"]}]) + target
        more, at = composer.text.split(whole, len(whole) - len(target))
        more = [*more[at:], composer.text.end_token]
        opened = {name: composer.text.opened(each) for name, each in ids.items()}
        logs = logits(model, opened, more)[:-1].log_softmax(-1)
        wanted[row["prompt"]] = -float(logs.gather(1, torch.tensor(more)[:, None]).mean())
    values = found["loss"][0].values
    assert len(values) == 4
    for value in values:
        assert value is not None and min(abs(value - each) for each in wanted.values()) < 1e-4
    assert all(score.error is None and score.mean is not None for score, _ in found.values())
    assert found["drift"][0].mean > 0.0


def test_choices_are_those_of_models_that_read_their_own(composer: Composer) -> None:
    """Where a token across the boundary parts the prompts of one row too."""
    model = composed(composer, PROXY)
    rows = [
        [((5, 6, 7), (8, 9)), ((5, 6, 7), (10,))],
        [((11, 12, 13), (14,)), ((11, 12), (15, 16))],
        [((17,), (18,)), ((19, 20), (21, 22, 23))],
    ]
    own = {place: [[30 + place, 40 + row] for row in range(3)] for place in model.own}
    found = choice_sums(model, rows, own=own)
    assert model.mixture is not None
    for row, (pairs, sums) in enumerate(zip(rows, found, strict=True)):
        for (prompt, ids), value in zip(pairs, sums, strict=True):
            reads = {
                name: own[place][row] if place in own else list(prompt)
                for place, name in enumerate(model.mixture.models)
            }
            logs = logits(model, reads, list(ids))[:-1].log_softmax(-1)
            wanted = float(logs.gather(1, torch.tensor(ids)[:, None]).sum())
            assert value == pytest.approx(wanted, abs=1e-4)


def test_the_base_is_no_way_from_itself_in_its_own_words(write: Write, composer: Composer) -> None:
    objectives = prepare(load_study(write(WORDS, MEASURED[1])))
    base = composer.module("base")
    [(_, score, _)] = evaluate(base, objectives, base=lambda: composer.module("base"))
    assert score.mean == 0.0


def test_other_words_are_other_scores(write: Write, files: FamilyFiles, tmp_path: Path) -> None:
    def fingerprint(templates: Any) -> str:
        spec = load_study(write(templates)).family
        return family_fingerprint(open_family(spec), tmp_path)

    other = files.root / "other.jinja"
    other.write_text(OWN, encoding="utf-8")
    found = [
        fingerprint(each)
        for each in (
            {}, {"helpful": "own.jinja"}, {"helpful": "other.jinja"}, {"padded": "own.jinja"},
            {"helpful": {"template": "own.jinja", "system": "be kind"}},
            {"helpful": {"template": "own.jinja", "prefix": "be kind"}},
        )
    ]  # fmt: skip
    assert found[1] == found[2] and len(set(found)) == 5
    other.write_text(OWN + " ", encoding="utf-8")
    assert fingerprint({"helpful": "other.jinja"}) != found[2]


@pytest.mark.parametrize(
    ("templates", "where", "what"),
    [
        ({"helpfull": "own.jinja"}, "family.templates", "helpful"),
        ({"helpful": 3}, "family.templates.helpful", "expected a mapping"),
        ({"helpful": {}}, "family.templates.helpful", "it says nothing"),
        ({"helpful": {"sistem": "a"}}, "family.templates.helpful", "system"),
        ({"helpful": {"system": 3}}, "family.templates.helpful.system", "expected a string"),
        ({"helpful": "gone.jinja"}, "gone.jinja", "no such file"),
        ({"helpful": "bad.jinja"}, "bad.jinja:2", "does not parse"),
        ({"helpful": "raises.jinja"}, "data", "helpful: the chat template refuses the messages"),
        ({"helpful": "binary.jinja"}, "binary.jinja", "it is no text"),
    ],
)
def test_check_refuses_what_cannot_be_used(
    write: Write, files: FamilyFiles, tmp_path: Path, templates: Any, where: str, what: str
) -> None:
    (files.root / "bad.jinja").write_text("{{ messages }}\n{% for %}", encoding="utf-8")
    (files.root / "raises.jinja").write_text("{{ raise_exception('no') }}", encoding="utf-8")
    (files.root / "binary.jinja").write_bytes(b"\xff\xfe\x00")
    ran = headless.run(tmp_path, "check", write(templates, MEASURED[0]))
    assert ran.code == 2 and not ran.document["ok"]
    found = [each for each in ran.document["problems"] if where in each["where"]]
    assert any(what in f"{each['what']} {each['fix']}" for each in found), ran.document["problems"]
    ran = headless.run(tmp_path, "check", write(WORDS, MEASURED[0]))
    assert ran.code == 0, ran.document["problems"]


def test_a_template_of_its_own_cannot_leave_its_sandbox(write: Write, files: FamilyFiles) -> None:
    (files.root / "sly.jinja").write_text("{{ messages.__class__.__mro__ }}", encoding="utf-8")
    composer = Composer(open_family(load_study(write({"helpful": "sly.jinja"})).family))
    with pytest.raises(BadInput, match=r"template of helpful .*sly\.jinja"):
        composer.module("helpful").text.encode("a", chat=True)


def test_a_copy_says_that_its_words_are_elsewhere(
    write: Write, files: FamilyFiles, tmp_path: Path
) -> None:
    recipe = files.recipe("single", {"model": "helpful"})
    ran = headless.run(tmp_path, "export", write(WORDS), "--recipe", recipe, tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "words of its own" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_system_messages_follow_the_models_own() -> None:
    words = Words("helpful", system="be kind")
    said = [{"role": "system", "content": "short"}, {"role": "user", "content": "a"}]
    assert words.spoken(said)[0]["content"] == "be kind\n\nshort"
    assert words.instead("be rude").spoken(said)[0]["content"] == "be rude"
    assert words.instead("").spoken(said) == said[1:]
    assert words.spoken(said[1:]) == [{"role": "system", "content": "be kind"}, said[1]]
    assert Words().spoken(said) == said


ENDS = ("", " ", "\n", "\n\n", " \n", "\n ")


@pytest.mark.parametrize("ours", ENDS)
@pytest.mark.parametrize("theirs", ENDS)
def test_what_follows_is_one_text_behind_every_prompt(
    composer: Composer, ours: str, theirs: str
) -> None:
    """Behind each prompt stands what it ends with and the target, once, wherever they are cut."""
    texts = [
        composer.text.worded(
            Words(name, f"{name}: {{{{ messages[0].content + {end!r} }}}}", Path("x"))
        )
        for name, end in (("one", ours), ("two", theirs))
    ]
    codecs = [encoder(each) for each in texts]
    objective = Objective("loss", "nll", chat=True)
    row = Row(0, 1, f"{ours!r}{theirs!r}", prompt="the sea", targets=("stones",))
    space = shared_space(row, objective, codecs[0], {1: codecs[1]})
    assert space is not None and ours[len(ours) - space :] == theirs[len(theirs) - space :]
    prompt, target = codecs[0].target(row, objective, space)
    other = codecs[1].before(row, objective, space)
    for name, read, end in (("one", prompt, ours), ("two", other, theirs)):
        said = composer.text.decode((*read, *target))
        assert said.replace(" ", "") == f"{name}: the sea{end}stones".replace(" ", "")
    alone = codecs[0].target(row, objective)
    assert shared_space(row, objective, codecs[0], {}) is None
    assert (prompt, target) == alone or space < len(ours)


def test_the_family_says_whose_words_are_its_own(composer: Composer) -> None:
    notes = [each for each in composer.family.notes if "of its own" in each]
    assert [each.partition(":")[0] for each in notes] == ["base", "helpful"]
    assert "the chat template own.jinja and a system message" in notes[1]
    [found] = [each for each in checks(composer.family) if each.name == "Chat template"]
    assert "every model but helpful, which has its own" in found.results[0]
