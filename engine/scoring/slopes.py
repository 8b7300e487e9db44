"""How likelihood objectives change with the coefficients of a merge: J[m, k] = <∂L_m/∂θ, W_k>.

    θ(c) = θ0 + Σ c_k W_k, not rounded ──► one live module ──► backward ──► ∂L/∂θ ─ · W_k ─► J

W_k is what the method's basis adds for one of the k-th coefficient: for PCB, TIES or TSV that is
not a task vector. On the simplex, where coefficients add up to one, W_k is measured from the merge
in hand, so that J is right along every move that keeps their sum. Rounded weights would make the
loss piecewise constant, so those of a CPU are float32; on a GPU they have the dtype computed in.

A tick may run other work on the same module: the composer writes these weights again before it
returns, and nothing is left on them while it lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from engine.compose import Composer
from engine.decoding.inputs import Prompts, Tick
from engine.errors import ParetoscopeError, bad
from engine.family.placement import Group, state_of
from engine.front.pareto import Floats
from engine.merging.basis import Basis
from engine.recipe import Recipe, find_method
from engine.scoring.plan import Scored, tasks
from engine.study import Objective

TOKENS = 2048
"""Tokens of one forward and backward pass, padding included."""

CLOSE = 1e-4
"""How far a tensor may be from what its basis says it is, in units of its largest change."""

SMALL = 1e-3
"""A move that shows whether slopes are true: of coefficients of about 1."""

LIKELIHOODS = ("nll", "perplexity")


@dataclass(frozen=True)
class Loss:
    """A likelihood objective: Σ over texts of their share times Σ −log p of their tokens.

    Attributes:
        shares: one a text.
        exponential: whether the score is the exponential of that sum.
        own: what modules read instead of the contexts.
    """

    contexts: Prompts
    targets: Prompts
    shares: Sequence[float]
    exponential: bool
    own: Mapping[int, Prompts]

    def score(self, value: float, slopes: Floats) -> tuple[float, Floats]:
        """The objective's own value and derivatives, from those of the sum."""
        if not self.exponential:
            return value, slopes
        found = float(np.exp(value))
        return found, found * slopes


def loss_of(model: Scored, objective: Objective) -> Loss:
    """An nll or perplexity on its explore rows, encoded for a model; raises `BadInput` for rows
    that the model cannot take."""
    [task] = tasks(model, [objective], "explore")
    contexts = [prompt for ((prompt, _),) in task.pairs]
    targets = [target for ((_, target),) in task.pairs]
    whole = objective.scorer == "perplexity"
    total = sum(map(len, targets))
    shares = [1.0 / total if whole else 1.0 / (len(each) * len(targets)) for each in targets]
    return Loss(contexts, targets, shares, whole, task.own)


class MergedSlopes:
    """Values and derivatives of likelihood objectives by the coefficients of a linear merge.

    Args:
        recipe: resolved; of weight space, not pruned.
        objectives: nll or perplexity.

    Raises:
        BadInput: the method's weights are not linear in its coefficients; rows that cannot be read;
            the class stops gradients on their way, as HRM does in all but its last cycles.
    """

    def __init__(
        self, composer: Composer, recipe: Recipe, objectives: Sequence[Objective], tick: Tick
    ) -> None:
        self._composer, self._tick = composer, tick
        self._names = list(recipe.coefficients)
        self._simplex = find_method(recipe.method).simplex
        self._strength = float(recipe.parameters.get("strength", 1.0))
        first = composer.compose(recipe, tick)
        self._losses = [loss_of(first, each) for each in objectives]
        # adapters that run unmerged are merged here: W_k lies in the same place either way
        self._model = replace(first, modules=(composer.merged.module,), rounded_to=torch.float32)
        self._refuse_curved(composer.basis(recipe))
        if composer.dtype == torch.float32:  # elsewhere rounding hides what a small move does
            self._refuse_truncated(list(recipe.coefficients.values()))

    def at(self, coefficients: Sequence[float]) -> tuple[Floats, Floats]:
        """float64 [objectives] and [objectives, coefficients].

        Raises:
            BadInput: merged weights overflow.
            ParetoscopeError: a gradient is not finite.
        """
        given = dict(zip(self._names, map(float, coefficients), strict=True))
        scaled = {name: value * self._strength for name, value in given.items()}
        recipe = replace(self._model.recipe, coefficients=given)
        self._model = replace(self._model, recipe=recipe, coefficients=scaled)
        values, slopes = [], []
        for loss in self._losses:
            self._composer.restore(self._model, self._tick)
            value, gradients = self._backward(loss)
            with self._composer.ticking(self._tick):
                found = self._contracted(gradients, scaled)
            if not np.isfinite(found).all():
                raise ParetoscopeError("The gradients of the merged model are not finite.")
            value, found = loss.score(value, found * self._strength)
            values.append(value)
            slopes.append(found)
        return np.array(values), np.array(slopes)

    def _backward(self, loss: Loss) -> tuple[float, dict[int, Tensor]]:
        """The sum, and its gradient at each parameter by the parameter's id, float32."""
        (module,) = self._model.modules
        weights = [each for each in module.parameters() if each.is_floating_point()]
        sums: dict[int, Tensor] = {}
        total = 0.0
        for rows in _batches(loss):
            self._tick()
            ids, wanted, share = _padded(loss, rows, module.device)
            with torch.enable_grad():
                for each in weights:
                    each.requires_grad_(True)
                try:
                    logits = module(input_ids=ids, use_cache=False).logits[:, :-1].float()
                    apart = torch.nn.functional.cross_entropy(
                        logits.transpose(1, 2), ids[:, 1:], reduction="none"
                    )
                    value = (apart * wanted * share[:, None]).sum()
                    found = torch.autograd.grad(value, weights, allow_unused=True)
                finally:
                    for each in weights:
                        each.requires_grad_(False)
            total += float(value.detach())
            for weight, gradient in zip(weights, found, strict=True):
                if gradient is not None:
                    own = sums.setdefault(id(weight), torch.zeros_like(weight, dtype=torch.float32))
                    own += gradient
        return total, sums

    def _contracted(self, gradients: Mapping[int, Tensor], scaled: Mapping[str, float]) -> Floats:
        """<gradient, W_k>, float64 [coefficients]."""
        merged = self._composer.merged
        basis = self._composer.basis(self._model.recipe)
        state = state_of(merged.module)
        found = np.zeros(len(self._names))

        def add(target: str, directions: Sequence[Tensor], cut: Callable[[Tensor], Tensor]) -> None:
            gradient = gradients.get(id(state[target]))
            if gradient is None:
                return
            here = cut(gradient)
            for k, each in enumerate(directions):
                # a second embedding may have rows that no checkpoint stores
                part = here if here.shape == each.shape else here[: each.shape[0]]
                found[k] += float((part.double() * each.to(part.device).double()).sum())

        places = {}  # of two stored names of one place the later one is what was written
        for name in basis.tensors.names:
            if (part := merged.parts.get(name)) is not None:
                places[(id(state[part.target]), part.cuts)] = (name, part)
        for name, part in places.values():
            self._tick()
            if id(state[part.target]) in gradients:
                add(part.target, self._directions(basis, name, scaled), part.of)
        for group in merged.groups:
            if any(name in basis.tensors.names for name in group.names):
                self._tick()
                made = self._converted(group, basis, scaled)
                for target, directions in made.items():
                    add(target, directions, lambda whole: whole)
        return found

    def _directions(self, basis: Basis, name: str, scaled: Mapping[str, float]) -> list[Tensor]:
        start, *ends = self._ends(basis, name, scaled)
        return [end - start for end in ends]

    def _ends(self, basis: Basis, name: str, scaled: Mapping[str, float]) -> Iterator[Tensor]:
        """A tensor where derivatives are measured from, then with one of each coefficient more."""
        zero = dict.fromkeys(self._names, 0.0)
        for given in (
            scaled if self._simplex else zero,
            *({**zero, each: 1.0} for each in self._names),
        ):
            out = torch.empty(basis.tensors.shape(name), device=basis.tensors.device)
            basis.combine(name, given, out)
            yield out

    def _converted(
        self, group: Group, basis: Basis, scaled: Mapping[str, float]
    ) -> dict[str, list[Tensor]]:
        """Directions of the parameters that transformers makes of a group's tensors."""
        module = self._composer.merged.module
        sides: list[dict[str, Tensor]] = [{} for _ in range(len(self._names) + 1)]
        for name in group.names:
            if name in basis.tensors.names:
                for side, each in zip(sides, self._ends(basis, name, scaled), strict=True):
                    side[name] = each
            else:
                for side in sides:
                    side[name] = basis.tensors.untouched(name).to(basis.tensors.device).float()
        start, *ends = (group.convert(each, module) for each in sides)
        return {
            target: [each[target].float() - first.float() for each in ends]
            for target, first in start.items()
        }

    def _refuse_truncated(self, coefficients: Sequence[float]) -> None:
        """Raises `BadInput` where a small move changes a loss by other than its slope says."""
        at = np.array(coefficients, dtype=np.float64)
        move = np.full(len(at), len(at) ** -0.5)
        if self._simplex:
            move = np.eye(len(at))[0] - np.eye(len(at))[-1]
        value, slopes = self.at(at.tolist())
        ahead, behind = (self.at((at + side * SMALL * move).tolist())[0] for side in (1, -1))
        found, said = (ahead - behind) / (2 * SMALL), slopes @ move
        room = 0.01 * np.abs(value) + 0.2 * np.maximum(np.abs(found), np.abs(said))
        if (np.abs(found - said) > room).any():
            kind = type(self._model.modules[0]).__name__
            what = f"{kind} stops gradients on their way: its slopes are not linear changes of loss"
            raise bad("family", what, "Follow the surfaces: sweep the method first.")

    def _refuse_curved(self, basis: Basis) -> None:
        """Raises `BadInput` where a mixture is not what the basis' directions say."""
        draw = np.random.default_rng(0).uniform(0.1, 0.9, len(self._names))
        draw = draw / draw.sum() if self._simplex else draw
        given = dict(zip(self._names, draw.tolist(), strict=True))
        names = sorted(basis.tensors.names, key=lambda name: -basis.tensors.shape(name).numel())
        for name in names[:3]:
            start, *ends = self._ends(basis, name, given)
            said = start + sum(
                c * (end - start) for c, end in zip(draw.tolist(), ends, strict=True)
            )
            out = torch.empty_like(start)
            basis.combine(name, given, out)
            most = max(float((end - start).abs().max()) for end in ends)
            if float((out - said).abs().max()) > CLOSE * max(most, 1e-6):
                method = find_method(self._model.recipe.method).name
                what = f"the weights of {method} are not linear in its coefficients"
                raise bad("--method", what, "Use a method that adds up scaled task vectors.")


def _batches(loss: Loss) -> Iterator[list[int]]:
    """Rows that are read together, longest last."""
    lengths = [len(a) + len(b) for a, b in zip(loss.contexts, loss.targets, strict=True)]
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if rows and (len(rows) + 1) * lengths[row] > TOKENS:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _padded(loss: Loss, rows: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """ids int64 [rows, columns], padded on the right, which no token before looks at; float32
    [rows, columns − 1]: 1 where the next id is scored; float32 [rows] shares."""
    texts = [[*loss.contexts[row], *loss.targets[row]] for row in rows]
    width = max(map(len, texts))
    ids = torch.tensor([each + [0] * (width - len(each)) for each in texts], device=device)
    wanted = torch.zeros(len(rows), width - 1, device=device)
    for place, row in enumerate(rows):
        begin = len(loss.contexts[row]) - 1
        wanted[place, begin : begin + len(loss.targets[row])] = 1.0
    return ids, wanted, torch.tensor([loss.shares[row] for row in rows], device=device)
