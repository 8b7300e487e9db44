"""The job "map": the values of one slider at which the answers change, and all the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.decoding.inputs import Tick
from engine.decoding.slider_line import line_of
from engine.decoding.slider_map import check_sampling, slider_map
from engine.errors import bad
from engine.jobs.generating import request_of
from engine.jobs.models import Models, recipe_of, study_of
from engine.jobs.preparing import telling
from engine.jobs.served import Emit
from engine.parameter import is_number
from engine.recipe import find_method
from engine.scoring.stops import StopWatch, cut


def map_texts(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """Every answer of a recipe along one of its sliders.

    Args:
        payload: study, recipe, slider (a coefficient's name), range ([from, to]; by default the
            slider's own), and what `generating.request_of` reads.

    Returns:
        recipe: resolved; slider; range; outputs: {"prompt", "intervals": [{"from", "to", "text",
        "token_ids"}]} in the order of the prompts; intervals in order, without gaps.

    Raises:
        BadInput: the study, the recipe or a setting cannot be used, or what is asked has no exact
            map.
    """
    study = study_of(payload)
    request = request_of(payload)
    check_sampling(request.sampling)
    with models.families.use(study.family, tick) as opened:
        recipe = recipe_of(payload.get("recipe"), opened, study)
        slider = payload.get("slider")
        if not isinstance(slider, str):
            raise bad("map", "no slider was named", "Give the name of a coefficient.")
        given = payload.get("range")
        if given is None:
            given = study.slider_range(find_method(recipe.method), slider)
        if not isinstance(given, list | tuple) or len(given) != 2 or not all(map(is_number, given)):
            raise bad("map", f"expected a range of two numbers, got {given!r}", "Write 0,2.")
        low, high = map(float, given)
        line = line_of(recipe, slider, opened.family.names, low, high)
        model = opened.composer.compose(line.recipe, telling(opened.composer, emit, tick))
        text, stops = model.text, request.stops
        prompts, own = request.read_by(model)
        found = slider_map(
            model,
            line,
            prompts,
            low,
            high,
            max_new_tokens=request.max_new_tokens,
            end_ids=text.end_ids,
            sampling=request.sampling,
            stopped=StopWatch(stops, text.decode) if stops else None,
            tick=tick,
            own=own,
            told=lambda part, texts: emit("progress", {"part": part, "texts": texts}),
        )
        outputs = [
            {
                "prompt": prompt,
                "intervals": [
                    {
                        "from": each.low,
                        "to": each.high,
                        "text": cut(text.decode(each.token_ids), stops),
                        "token_ids": list(each.token_ids),
                    }
                    for each in intervals
                ],
            }
            for prompt, intervals in zip(request.prompts, found, strict=True)
        ]
        return {
            "recipe": recipe.as_dict(),
            "slider": slider,
            "range": [low, high],
            "outputs": outputs,
        }
