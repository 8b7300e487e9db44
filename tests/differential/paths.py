"""One class through every path of the product, each held against plain transformers.

    family on disk ─┬─ python -m engine …   in this process, JSON out ─┐
                    └─ tests.differential.plain                       ─┴─► equal, refused, …

An outcome is "equal", "refused" (by `check`, with its reason), or a fault: "differs" or "error".
"""

from __future__ import annotations

import gc
import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from tests import families, headless
from tests.differential import plain, probes
from tests.differential.classes import Class, write_family

PATHS = ("check", "generate", "batch of 64", "choice", "nll", "merge", "pcb", "fusion", "export")
NEW = 10
CLOSE = 2e-4
"""Of a log-probability of one token, in float32, relative to 1 + its size."""

LINEAR = {"base": 0.3, "north": 0.5, "south": 0.4}
SUM = {"north": 0.7312, "south": 0.4177}
PCB = {"north": 1.1, "south": 0.8}


@dataclass(frozen=True)
class Outcome:
    """What came of one path; `why` is empty where it is equal."""

    kind: str
    why: str = ""

    @property
    def fine(self) -> bool:
        return self.kind in ("equal", "refused")


EQUAL = Outcome("equal")


class Fault(Exception):
    """The product answered, and not with what is right."""


class Bench:
    """One class's family, its study and data, and both sides of each comparison."""

    def __init__(self, row: Class, root: Path) -> None:
        self.root, self.workspace = root, root / "workspace"
        write_family(row, root)
        self.base = root / "base"
        self.experts = {name: root / name for name in ("north", "south")}
        self.ends = plain.end_tokens(self.base)
        self.tokenizer = tokenizer_of(self.base)
        words = " ".join(families.SENTENCES).replace(",", "").replace(";", "").split()
        self.prompts = [" ".join(words[i % 31 : i % 31 + 1 + (i * 7) % 19]) for i in range(64)]
        self.texts = [
            {"prompt": each, "target": " " + " ".join(words[i : i + 1 + i % 6])}
            for i, each in enumerate(self.prompts[:20])
        ]
        self.choices = [
            {"prompt": each, "choices": [words[(3 * i + 5 * j) % 40] for j in range(2 + i % 3)],
             "answer": 0}
            for i, each in enumerate(self.prompts[20:38])
        ]  # fmt: skip
        families.write_lines(root / "texts.jsonl", self.texts)
        families.write_lines(root / "choices.jsonl", self.choices)
        self.study = self.write_study("nll", "choice")
        self.kept = plain.beside_text(self.base, self.ids(self.prompts[0]))
        self._models: dict[str, Any] = {}

    def write_study(self, *objectives: str) -> Path:
        kinds = {
            "nll": {"name": "nll", "data": "texts.jsonl", "scorer": "probe_nll"},
            "choice": {"name": "choice", "data": "choices.jsonl", "scorer": "probe_choice"},
        }
        document = {
            "study": "-".join(objectives),
            "family": {"base": "base", "experts": {name: name for name in self.experts}},
            "objectives": [{**kinds[each], "report_fraction": 0.0} for each in objectives],
        }
        place = self.root / f"{'-'.join(objectives)}.yaml"
        place.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return place

    # ---- ours

    def run(self, *argv: object) -> Any:
        ran = headless.run(self.workspace, *argv)
        if ran.code:
            raise Fault(f"exit {ran.code}: {reason(ran)}")
        return ran.document

    def recipe(self, method: str, coefficients: Mapping[str, float], **parameters: Any) -> Path:
        place = self.root / f"{method}.recipe.yaml"
        document = {"method": method, "coefficients": dict(coefficients), "parameters": parameters}
        place.write_text(yaml.safe_dump(document), encoding="utf-8")
        return place

    def said(self, recipe: Path, prompts: Sequence[str]) -> list[list[int]]:
        found = self.run(
            "generate", self.study, "--recipe", recipe, "--prompt", *prompts,
            "--max-new-tokens", NEW,
        )  # fmt: skip
        return [each["token_ids"] for each in found["outputs"]]

    def observed(self, recipe: Path, objective: str) -> list[list[float]]:
        probes.seen.clear()
        found = self.run("evaluate", self.study, "--recipe", recipe, "--objectives", objective)
        if found["points"][0]["error"]:
            raise Fault(found["points"][0]["error"])
        return [values for kind, values in probes.seen if kind == objective]

    # ---- theirs

    def model(self, name: str) -> Any:
        if name not in self._models:
            self._models[name] = plain.load(self.root / name)
        return self._models[name]

    def ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text)["input_ids"])

    def by_hand(self, method: str, coefficients: Mapping[str, float]) -> Any:
        """The merged model, from merged tensors on disk."""
        name = f"hand-{method}"
        if not (self.root / name).exists():
            tensors = plain.merged(self.base, self.experts, method, coefficients, self.kept)
            plain.write(self.base, tensors, self.root / name)
        return self.model(name)

    def wanted(self, model: Any, objective: str) -> list[list[float]]:
        if objective == "nll":
            return [
                plain.log_probs(model, *self.split(row["prompt"], row["target"]))
                for row in self.texts
            ]
        pairs = [
            [self.split(row["prompt"], f" {c}") for c in row["choices"]] for row in self.choices
        ]
        return [[sum(plain.log_probs(model, *each)) for each in row] for row in pairs]

    def split(self, prompt: str, rest: str) -> tuple[list[int], list[int]]:
        """Ids of one text, apart where the rest begins."""
        before, whole = self.ids(prompt), self.ids(prompt + rest)
        assert whole[: len(before)] == before
        return before, whole[len(before) :]


def tokenizer_of(place: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(place, local_files_only=True)


def reason(ran: headless.Ran) -> str:
    """What a failed command says: the point's own error, else the end of its messages."""
    try:
        return str(ran.document["points"][0]["error"])[:400]
    except (ValueError, LookupError, TypeError):
        return _last(ran.err)


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return " ".join(lines[-2:])[-400:] if lines else ""


def near(found: Sequence[Sequence[float]], wanted: Sequence[Sequence[float]], what: str) -> None:
    if len(found) != len(wanted):
        raise Fault(f"{what}: {len(found)} rows for {len(wanted)}")
    worst, place = 0.0, 0
    for row, (ours, theirs) in enumerate(zip(found, wanted, strict=True)):
        if len(ours) != len(theirs):
            raise Fault(f"{what}: row {row} has {len(ours)} values for {len(theirs)}")
        for a, b in zip(ours, theirs, strict=True):
            off = abs(a - b) / (1 + abs(b))
            if not off <= worst:
                worst, place = off, row
    if not worst <= CLOSE:
        raise Fault(f"{what}: off by {worst:.3g} in row {place}")


def _texts(bench: Bench, model: Any, recipe: Path, prompts: Sequence[str]) -> None:
    wrong = []
    for row, (prompt, said) in enumerate(zip(prompts, bench.said(recipe, prompts), strict=True)):
        parted = plain.follows(model, bench.ids(prompt), said, NEW, bench.ends)
        if parted is not None:
            wrong.append(f"row {row}: {parted}")
    if wrong:
        raise Fault(f"{len(wrong)} of {len(prompts)} texts; {wrong[0]}")


def generate(bench: Bench) -> None:
    recipe = bench.recipe("single", {}, model="base")
    prompt = " ".join(families.SENTENCES[:2])
    (said,) = bench.said(recipe, [prompt])
    model = bench.model("base")
    wanted = plain.greedy(model, bench.ids(prompt), NEW, bench.ends)
    if said != wanted and plain.follows(model, bench.ids(prompt), said, NEW, bench.ends):
        raise Fault(f"{said} for {wanted}")


def batch(bench: Bench) -> None:
    _texts(bench, bench.model("base"), bench.recipe("single", {}, model="base"), bench.prompts)


def choice(bench: Bench) -> None:
    recipe = bench.recipe("single", {}, model="base")
    near(bench.observed(recipe, "choice"), bench.wanted(bench.model("base"), "choice"), "Σ log p")


def nll(bench: Bench) -> None:
    recipe = bench.recipe("single", {}, model="north")
    near(bench.observed(recipe, "nll"), bench.wanted(bench.model("north"), "nll"), "log p")


def merge(bench: Bench) -> None:
    for method, coefficients in (("linear", LINEAR), ("task_arithmetic", SUM)):
        found = bench.observed(bench.recipe(method, coefficients), "nll")
        near(found, bench.wanted(bench.by_hand(method, coefficients), "nll"), method)


def pcb(bench: Bench) -> None:
    found = bench.observed(bench.recipe("pcb", PCB), "nll")
    near(found, bench.wanted(bench.by_hand("pcb", PCB), "nll"), "pcb")


def fusion(bench: Bench) -> None:
    recipe = bench.recipe("logit_fusion", LINEAR)
    total = sum(LINEAR.values())
    models = [bench.model(name) for name in LINEAR]
    fused = plain.Fused(models, [w / total for w in LINEAR.values()], len(bench.tokenizer))
    _texts(bench, fused, recipe, bench.prompts[:12])
    near(bench.observed(recipe, "nll"), bench.wanted(fused, "nll"), "log p")


def export(bench: Bench) -> None:
    """The merged checkpoint: tensor for tensor the hand's, and the hand's logits when loaded."""
    out = bench.root / "exported"
    found = bench.run(
        "export", bench.study, "--recipe", bench.recipe("linear", LINEAR), out, "--verify"
    )
    if found["verified"] is not True:
        raise Fault(f"verified is {found['verified']}")
    ours = plain.stored(out)
    theirs = plain.merged(bench.base, bench.experts, "linear", LINEAR, bench.kept)
    if ours.keys() != theirs.keys():
        apart = sorted(ours.keys() ^ theirs.keys())
        raise Fault(f"{len(apart)} tensors on one side, as {apart[0]}")
    for name, tensor in theirs.items():
        if not torch.allclose(ours[name].double(), tensor.double(), rtol=1e-5, atol=1e-6):
            raise Fault(f"tensor {name} is not the merge")
    again, hand = plain.load(out), bench.by_hand("linear", LINEAR)
    for prompt in bench.prompts[:6]:
        ids = bench.ids(prompt)
        off = float((plain.logits(again, ids) - plain.logits(hand, ids)).abs().max())
        if not off < 1e-3:
            raise Fault(f"reloaded logits differ by {off:.3g}")


RUNS: Mapping[str, Callable[[Bench], None]] = {
    "generate": generate,
    "batch of 64": batch,
    "choice": choice,
    "nll": nll,
    "merge": merge,
    "pcb": pcb,
    "fusion": fusion,
    "export": export,
}


def check(bench: Bench) -> Outcome:
    """`check` on the study: equal where nothing is wrong, refused with its first reason."""
    ran = headless.run(bench.workspace, "check", bench.study)
    if ran.code == 0:
        return EQUAL
    try:
        problem = json.loads(ran.out)["problems"][0]
        return Outcome("refused", f"{problem['what']}")
    except (ValueError, LookupError):
        return Outcome("error", f"check ended with {ran.code}: {_last(ran.err)}")


def outcomes(row: Class, root: Path) -> dict[str, Outcome]:
    """What comes of every path for one class."""
    with probes.registered():
        bench = Bench(row, root)
        gc.freeze()  # every command ends with a collection: not of all that was imported
        try:
            return _outcomes(bench)
        finally:
            gc.unfreeze()


def _outcomes(bench: Bench) -> dict[str, Outcome]:
    checked = check(bench)
    found = {"check": checked}
    for name, run in RUNS.items():
        if not checked.fine or checked.kind == "refused":
            found[name] = checked
            continue
        try:
            run(bench)
            found[name] = EQUAL
        except Fault as fault:
            found[name] = Outcome("differs", str(fault))
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            found[name] = Outcome("error", f"{type(error).__name__} at {place}: {error}"[:400])
    return found
