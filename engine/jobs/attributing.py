"""The job "attribute": who said each token of texts that are there already.

recipe ─► coefficients with one at 0, each once ─► mixtures ─► attribution.attribute
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.compose import Composer
from engine.decoding.attribution import Attribution, attribute
from engine.decoding.inputs import Tick
from engine.errors import BadInput, bad
from engine.family.token_texts import token_texts
from engine.jobs.generating import Request, request_of
from engine.jobs.models import Models, recipe_of, study_of
from engine.jobs.served import Emit
from engine.method import Names
from engine.recipe import Recipe, find_method, resolve
from engine.scoring.stops import cut


def attribute_texts(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """Attribute the answers of several recipes to the same prompts.

    Args:
        payload: study, recipes, what `generating.request_of` reads, and token_ids: for each recipe
            those of its answer to each prompt, [] for a recipe without answers.

    Returns:
        columns: for each recipe the attributions of its answers, as `attributed` has them.

    Raises:
        BadInput: the study, a recipe, a setting or the ids cannot be used.
    """
    study, request = study_of(payload), request_of(payload)
    recipes, ids = payload.get("recipes"), payload.get("token_ids")
    if not isinstance(recipes, Sequence) or not isinstance(ids, Sequence) or not recipes:
        raise bad("job", "it contains no recipes with answers", "Give recipes and token_ids.")
    if len(recipes) != len(ids) or any(len(each) not in (0, len(request.prompts)) for each in ids):
        raise bad("token_ids", "they are not an answer of each recipe to each prompt", "Give both.")
    with models.families.use(study.family, tick) as opened:
        columns = []
        for place, (data, answers) in enumerate(zip(recipes, ids, strict=True)):
            emit("progress", {"done": place, "total": len(recipes)})
            where = f"recipe {place + 1} of {len(recipes)}"
            found = recipe_of(data, opened, study, where) if answers else None
            columns.append(
                [] if found is None
                else attributed(opened.composer, found, request, answers, tick)
            )  # fmt: skip
    return {"columns": columns}


def attributed(
    composer: Composer,
    recipe: Recipe,
    request: Request,
    answers: Sequence[Sequence[int]],
    tick: Tick,
) -> list[dict[str, Any] | None]:
    """Who said each token of a recipe's answers.

    Args:
        recipe: resolved.
        answers: token ids, one list a prompt.

    Returns:
        For each answer, lists with a value a token: "tokens", texts that join to the answer's;
        "probability" of the token under the mixture; "entropy" there, in nats; "without":
        coefficient -> the probability with that coefficient at 0, null where the method is not
        defined so; "contribution": model -> nats, which sum to log probability + entropy, or null
        where the logits are no sum over models. None for a recipe of one model, merged or not:
        there is nothing to attribute.
    """
    if recipe.unmerged is not None or find_method(recipe.method).space != "logit":
        return [None] * len(answers)
    others = without_each(recipe, composer.family.names)
    kept = [each for each in others.values() if each is not None and each != recipe]
    every = [composer.compose(each, tick) for each in (recipe, *kept)]
    read = [request.read_by(each) for each in every]
    model = every[0]
    assert model.mixture is not None
    found = attribute(model, every[1:], read, answers, tick=tick)
    decode = model.text.decode
    passes = [_spoken(*each) for each in model.mixture.passes]

    def document(ids: Sequence[int], each: Attribution) -> dict[str, Any]:
        text = cut(decode(ids), request.stops)
        probability = each.probability.tolist()
        moved = iter(each.without)
        without = {
            name: None if other is None
            else probability if other == recipe
            else next(moved).tolist()
            for name, other in others.items()
        }  # fmt: skip
        parts = each.contributions
        return {
            "tokens": token_texts(decode, ids, text),
            "probability": probability,
            "entropy": each.entropy.tolist(),
            "without": without,
            "contribution": None
            if parts is None
            else {name: part.tolist() for name, part in zip(passes, parts, strict=True)},
        }

    return [document(ids, each) for ids, each in zip(answers, found, strict=True)]


def without_each(recipe: Recipe, names: Names) -> dict[str, Recipe | None]:
    """Coefficient -> the recipe with it at 0: the same one where it is 0, None where the method
    refuses that (a fusion without its only model)."""
    found: dict[str, Recipe | None] = {}
    for name, value in recipe.coefficients.items():
        less = replace(recipe, coefficients={**recipe.coefficients, name: 0.0})
        try:
            found[name] = resolve(less, names) if value else recipe
        except BadInput:
            found[name] = None
    return found


def _spoken(model: str, instead: str | None) -> str:
    """A pass by its model, and by what that reads in it if not its own words."""
    return model if instead is None else f"{model} given {instead!r}"
