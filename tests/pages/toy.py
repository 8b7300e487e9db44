"""An engine for page tests: real protocol, store and family; scores are a formula, no model runs.

A recipe's score on the k-th objective rises with the k-th expert's coefficient and falls with the
others. What a test needs to go wrong is asked for by a coefficient or an output directory's name.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cache.rows import clean
from engine.bands import value_of
from engine.errors import ParetoscopeError, bad
from engine.family.compatibility import open_family
from engine.jobs.models import Models
from engine.jobs.suggesting import suggest_recipes
from engine.recipe import Recipe, point_id, recipe_from_dict, resolve
from engine.scoring.harmful import names_in
from engine.scoring.objectives import prepare
from engine.search.designs import design
from engine.study import Study, load_study, objective_of_document
from engine.worker.messages import Job

FAMILY = "f" * 64
NUMERICS = "cpu/float32/1"
REFUSED = 1.23
"""A coefficient that no score can be had for."""
HOSTILE = (
    "<img src=x onerror=\"document.title='taken'\"> [a](javascript:alert(1)) $x^2$ **b**"
    " <script>document.title='taken'</script> :red[c]"
)
"""What a model may say, and a page must show as it is."""


def resolved(data: Any, study: Study) -> Recipe:
    recipe = recipe_from_dict(data)
    names = study.family.names
    return resolve(recipe, names_in(study, open_family(study.family)) if recipe.prune else names)


def fingerprint(objective: str) -> str:
    return (objective.encode().hex() * 64)[:64]


def scores(recipe: Recipe, study: Study) -> dict[str, float]:
    experts = study.family.names.experts
    if recipe.method == "single":
        c = [float(name == recipe.parameters["model"]) for name in experts]
    else:
        c = [value_of(recipe.coefficients, name) for name in experts]
    found = {}
    for k, objective in enumerate(study.objectives):
        own = c[k % len(c)]
        found[objective.name] = 0.5 + 0.3 * own - 0.1 * (sum(c) - own)
    return found


def score_rows(recipe: Recipe, study: Study) -> list[dict[str, Any]]:
    """The rows the engine would emit for a resolved recipe."""
    return [
        {
            "kind": "score", "point": point_id(recipe, FAMILY), "recipe": recipe.as_dict(),
            "family": FAMILY, "objective": name, "objective_fingerprint": fingerprint(name),
            "scorer": study.objective(name).scorer, "split": "explore", "numerics": NUMERICS,
            "n": 300, "mean": mean, "stderr": 0.02, "low": mean - 0.04, "high": mean + 0.04,
            "seconds": 0.01,
        }
        for name, mean in scores(recipe, study).items()
    ]  # fmt: skip


class Service:
    """`engine.jobs.served.Service` over `scores`.

    Args:
        pause: seconds for each score.
    """

    on_cpu = True

    def __init__(self, pause: float = 0.0, opens: bool = True) -> None:
        self.pause = pause
        self.opens = opens
        self.measured: list[tuple[str, str]] = []

    def park(self) -> Callable[[], None]:
        return lambda: None

    def rest(self) -> None: ...

    def close(self) -> None:
        pass

    def _wait(self, tick: Callable[[], None]) -> None:
        """Ticks until the pause is over; one that is made shorter meanwhile ends with that."""
        tick()
        start = time.monotonic()
        while (left := start + self.pause - time.monotonic()) > 0:
            time.sleep(min(0.02, left))
            tick()

    def run(self, job: Job, emit: Any, tick: Callable[[], None]) -> Mapping[str, Any]:
        study = load_study(job.payload["study"])
        prepare(study)
        return getattr(self, job.kind)(study, job.payload, emit, tick)

    def open(self, study: Study, payload: Any, emit: Any, tick: Any) -> Mapping[str, Any]:
        if not self.opens:
            raise bad("model.safetensors: tensor x", "holds NaN", "Train it again.")
        names = [each.name for each in study.objectives]
        return {
            "family": FAMILY,
            "objectives": {name: fingerprint(name) for name in names},
            "numerics": NUMERICS,
            "memory": {
                "live_bytes": 10**9,
                "basis_bytes": 10**9,
                "weight_space_bytes": 2 * 10**9,
                "logit_space_bytes": 3 * 10**9,
                "available_bytes": 4 * 10**9,
            },
        }

    def evaluate(self, study: Study, payload: Any, emit: Any, tick: Any) -> Mapping[str, Any]:
        wanted = payload.get("objectives") or [each.name for each in study.objectives]
        have = set(payload.get("have") or ())
        recipes = [resolved(each, study) for each in payload["recipes"]]
        errors = {}
        for index, recipe in enumerate(recipes):
            if REFUSED in recipe.coefficients.values():
                row = score_rows(recipe, study)[0]
                kept = ("point", "recipe", "family", "split", "numerics")
                emit("result", {"row": {name: row[name] for name in kept} | {
                    "kind": "failure", "error": "the logits are not finite"}})  # fmt: skip
                errors[str(index)] = "the logits are not finite"
                continue
            for row in score_rows(recipe, study):
                if row["objective"] not in wanted or clean(row)["id"] in have:
                    continue
                self._wait(tick)
                emit("result", {"row": row})
                self.measured.append((row["point"], row["objective"]))
            emit("progress", {"done": index + 1, "total": len(recipes)})
        return {"points": [point_id(each, FAMILY) for each in recipes], "errors": errors}

    sweep = evaluate

    def design(self, study: Study, payload: Any, emit: Any, tick: Any) -> Mapping[str, Any]:
        found = [design(study, **each) for each in payload["designs"]]
        return {"recipes": [[recipe.as_dict() for recipe in group] for group in found]}

    def suggest(self, study: Study, payload: Any, emit: Any, tick: Any) -> Mapping[str, Any]:
        return suggest_recipes(Models.__new__(Models), payload, emit, tick)

    def fill(self, study: Study, payload: Any, emit: Any, tick: Any) -> Mapping[str, Any]:
        """The recipe and one beside it, which is the best."""
        recipes = [payload["recipe"], {**payload["recipe"], "coefficients": {"helpful": 0.3}}]
        done = self.evaluate(study, payload | {"recipes": recipes}, emit, tick)
        return {"errors": {}, "best": {payload["objectives"][0]: done["points"][1]}}

    def improve(self, study: Study, payload: Any, emit: Any, tick: Any) -> Mapping[str, Any]:
        """A recipe beside the one it begins at."""
        recipe = {**payload["recipe"], "coefficients": {"helpful": 0.77, "terse": 0.0}}
        asked = {**payload, "recipes": [recipe], "objectives": payload["measure"]}
        [point] = self.evaluate(study, asked, emit, tick)["points"]
        first, second = payload["compare"][:2]
        return {
            "recipe": recipe, "point": point, "errors": {}, "evaluations": 4, "violation": 0.0,
            "by": dict.fromkeys(payload["objectives"], "models"), "why": "still", "unmet": [],
            "values": {}, "binding": ["terse is at its lowest"],
            "rates": [{"of": second, "in": first, "rate": 0.4}],
        }  # fmt: skip

    def estimate(self, study: Study, payload: Any, emit: Any, tick: Any) -> Mapping[str, Any]:
        timings = []
        for group in payload["groups"]:
            done = self.evaluate(study, payload | {"recipes": group[:1]}, emit, tick)
            seconds = dict.fromkeys(payload["objectives"], 2.0)
            error = done["errors"].get("0")
            timings.append({"prepare": 5.0, "compose": 1.0, "objectives": seconds, "error": error})
        return {"timings": timings}

    def compare(self, study: Study, payload: Any, emit: Any, tick: Any) -> Mapping[str, Any]:
        """Every answer is `HOSTILE`, the column's expert with most weight and the seed."""
        columns: list[dict[str, Any]] = []
        prompts, seed = payload["prompts"], payload["seed"]
        for place, recipe in enumerate(payload["recipes"]):
            weights = recipe["coefficients"] or {recipe["parameters"].get("model"): 1.0}
            refused = REFUSED in weights.values()
            outputs = []
            for row, prompt in enumerate([] if refused else prompts):
                text = f"{HOSTILE} {max(weights, key=weights.__getitem__)} {seed}"
                emit("text", {"texts": {str(place * len(prompts) + row): text}})
                ended = "length" if row else "end"
                outputs.append(
                    {"prompt": prompt, "text": text, "token_ids": [7, 8], "ended": ended}
                )
                self._wait(tick)
            error = "the logits are not finite" if refused else None
            columns.append({"recipe": recipe, "outputs": outputs, "error": error})
        return {"columns": columns}

    def map(self, study: Study, payload: Any, emit: Any, tick: Any) -> Mapping[str, Any]:
        """Two texts for each prompt, the second of them `HOSTILE`; halves of the range."""
        tick()
        low, high = payload["range"]
        ends = [low, (low + high) / 2, high]
        outputs = [
            {"prompt": prompt, "intervals": [
                {"from": ends[n], "to": ends[n + 1], "text": text, "token_ids": [n]}
                for n, text in enumerate(("one", HOSTILE))
            ]}
            for prompt in payload["prompts"]
        ]  # fmt: skip
        if payload["recipe"]["coefficients"][payload["slider"]] == REFUSED:
            raise ParetoscopeError("the logits are not finite")
        return {name: payload[name] for name in ("recipe", "slider", "range")} | {
            "outputs": outputs
        }

    def export(self, study: Study, payload: Any, emit: Any, tick: Any) -> Mapping[str, Any]:
        out = Path(payload["out"])
        if out.name == "full":
            raise bad(str(out), "the disk is full", "Make room.")
        self._wait(tick)
        recipe = resolved(payload["recipe"], study)
        point = point_id(recipe, FAMILY)
        for row in score_rows(recipe, study) if not payload["scores"] else ():
            emit("result", {"row": row | {"split": "report", "mean": row["mean"] - 0.1}})
        if out.name == "different":
            raise ParetoscopeError(f"{out}: reloaded logits differ by 0.5 from what was scored")
        out.mkdir(parents=True)
        (out / "paretoscope.json").write_text(json.dumps({"point": point}))
        (out / "model.safetensors").write_bytes(b"0" * 1500)
        result = {
            "out": str(out), "files": ["model.safetensors", "paretoscope.json"], "point": point,
            "verified": True, "max_logit_difference": 0.0,
        }  # fmt: skip
        emit("result", {"row": result | {
            "kind": "export", "study": study.name, "family": FAMILY, "recipe": recipe.as_dict(),
            "form": "merged", "bytes": 1535, "rank": 0, "beside": []}})  # fmt: skip
        return result

    def geometry(self, study: Study, payload: Any, emit: Any, tick: Any) -> Mapping[str, Any]:
        """Task vectors at right angles, the k-th k + 1 tenths as long as the base."""
        experts = study.family.names.experts
        squares = [[(0.1 * (k + 1)) ** 2 * (k == j) for j in range(len(experts))]
                   for k in range(len(experts))]  # fmt: skip
        row = {
            "kind": "geometry", "id": FAMILY, "family": FAMILY, "experts": list(experts),
            "groups": ["embedding", "layer 0"], "base": [1.0, 1.0], "products": [squares, squares],
        }  # fmt: skip
        emit("result", {"row": row})
        return row

    def preview(self, study: Study, payload: Any, emit: Any, tick: Any) -> Mapping[str, Any]:
        objective = objective_of_document(payload["objective"], study.path)
        model = payload["recipe"]["parameters"]["model"]
        examples = [
            {"line": line, "prompt": f"asked {line}", "said": f"{model} <b>says</b>",
             "target": objective.name, "value": float(line % 2)}
            for line in range(1, 6)
        ]  # fmt: skip
        score = {"mean": 0.6, "stderr": 0.245, "low": 0.2307, "high": 0.8824}
        return {"examples": examples, **score, "error": None}
