"""How much the demo's experts win, and how rich its fronts are: a dense sweep of task arithmetic.

For each pair of objectives the two experts behind them are swept over a grid of coefficients in
[0, 1.5], by plain state dicts and transformers' `generate`: float32 sums, one rounding to bfloat16,
computed in float32. Scores are over the `explore` rows, as in the app. One line of JSON:

    fronts   pair -> number of distinct non-dominated points of the grid
    gains    expert -> its score on its own objective minus the base's
    steered  refusals of the target alone, and with the small harmless pair at α = 1 in logit space

    python -m benchmarks.demo_fronts [--study DIR] [--levels 16] [--limit N]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from engine.demo.write import FAMILY
from engine.front.pareto import front_mask
from engine.scoring.data import Row, read_rows
from engine.scoring.registry import check_objective, find_scorer
from engine.study import Objective, load_study

PAIRS = (("helpful", "harmless"), ("helpful", "honest"), ("harmless", "honest"))
OWN = {"helpful": "facts", "harmless": "refusals", "honest": "honesty"}
HIGHEST = 1.5


class Sweep:
    """The models of a study, their prompts in batches, and one live mixture."""

    def __init__(self, folder: Path, limit: int | None) -> None:
        self.study = load_study(folder / "study.yaml")
        self.tokenizer = AutoTokenizer.from_pretrained(self.study.family.base)
        self.live = self.load("base")
        self.base = {name: each.clone() for name, each in self.live.named_parameters()}
        self.task_vectors = {
            expert: {
                name: each - self.base[name] for name, each in self.load(expert).named_parameters()
            }
            for expert in OWN
        }
        self.objectives = {name: self.objective(name) for name in OWN.values()}
        self.rows = {
            name: read_rows(each, "explore")[:limit] for name, each in self.objectives.items()
        }

    def load(self, name: str) -> PreTrainedModel:
        path = self.study.family.path_of(name)
        return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()

    def objective(self, name: str) -> Objective:
        return check_objective(self.study.objective(name))

    def put(self, coefficients: dict[str, float]) -> None:
        """Write θ0 + Σ c τ into the live model, rounded as an exported checkpoint is."""
        for name, place in self.live.named_parameters():
            moved = self.base[name].clone()
            for expert, c in coefficients.items():
                moved += c * self.task_vectors[expert][name]
            place.data.copy_(moved.bfloat16())

    def prompts(self, rows: list[Row]) -> dict[str, torch.Tensor]:
        """int64 [rows, longest] ids and mask, padded on the left."""
        chats = [[{"role": "user", "content": row.prompt}] for row in rows]
        return self.tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        )

    def score(self, name: str, texts: list[str]) -> float:
        objective = self.objectives[name]
        scorer = find_scorer(objective.scorer)
        pairs = zip(texts, self.rows[name], strict=True)
        values = [scorer.function(text, row, **objective.options) for text, row in pairs]
        return sum(values) / len(values)

    def measure(self, names: tuple[str, ...]) -> list[float]:
        """The live model's score on each objective named; all their prompts run as one batch."""
        inputs = self.prompts([row for name in names for row in self.rows[name]])
        new = max(self.objectives[name].max_new_tokens for name in names)
        ids = self.live.generate(**inputs, max_new_tokens=new, do_sample=False)
        texts = self.decode(ids[:, inputs["input_ids"].shape[1] :])
        scores, start = [], 0
        for name in names:
            stop = start + len(self.rows[name])
            scores.append(self.score(name, texts[start:stop]))
            start = stop
        return scores

    def decode(self, ids: torch.Tensor) -> list[str]:
        return self.tokenizer.batch_decode(ids, skip_special_tokens=True)

    def steered(self, strength: float) -> float:
        """Refusals of target + strength · (harmless − base), summed in logit space, greedy."""
        models = [(1.0, self.load("target"))]
        if strength:
            models += [(strength, self.load("harmless")), (-strength, self.load("base"))]
        inputs = self.prompts(self.rows["refusals"])
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        width, end = ids.shape[1], self.tokenizer.eos_token_id
        ended = torch.zeros(len(ids), dtype=torch.bool)
        for _ in range(12):
            places = (mask.cumsum(1) - 1).clamp(min=0)
            fused = sum(
                weight * model(ids, attention_mask=mask, position_ids=places).logits[:, -1]
                for weight, model in models
            )
            chosen = torch.where(ended, end, fused.argmax(-1))
            ended |= chosen == end
            ids = torch.cat([ids, chosen[:, None]], 1)
            mask = torch.cat([mask, torch.ones_like(chosen)[:, None]], 1)
        return self.score("refusals", self.decode(ids[:, width:]))


def front_size(scores: list[list[float]]) -> int:
    """Distinct non-dominated rows of scores [points, objectives], all to be maximised."""
    distinct = torch.tensor(sorted({tuple(each) for each in scores}), dtype=torch.float64)
    return int(front_mask(distinct.numpy(), [True] * distinct.shape[1]).sum())


@torch.no_grad()
def run(folder: Path, levels: int, limit: int | None) -> dict[str, object]:
    started = time.perf_counter()
    sweep = Sweep(folder, limit)
    sweep.put({})
    base = dict(zip(OWN.values(), sweep.measure(tuple(OWN.values())), strict=True))
    gains = {}
    for expert, name in OWN.items():
        sweep.put({expert: 1.0})
        gains[expert] = round(sweep.measure((name,))[0] - base[name], 3)
    grid = [HIGHEST * level / (levels - 1) for level in range(levels)]
    fronts = {}
    for one, other in PAIRS:
        scores = []
        for c in grid:
            for d in grid:
                sweep.put({one: c, other: d})
                scores.append(sweep.measure((OWN[one], OWN[other])))
        fronts[f"{OWN[one]}-{OWN[other]}"] = front_size(scores)
    return {
        "levels": levels,
        "rows": {name: len(rows) for name, rows in sweep.rows.items()},
        "base": {name: round(value, 3) for name, value in base.items()},
        "gains": gains,
        "fronts": fronts,
        "steered": {"0": round(sweep.steered(0.0), 3), "1": round(sweep.steered(1.0), 3)},
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, default=FAMILY)
    parser.add_argument("--levels", type=int, default=16)
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    print(json.dumps(run(args.study, args.levels, args.limit)))


if __name__ == "__main__":
    main()
