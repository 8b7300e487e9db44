"""An adapter's names against its base: live names, as peft sees layers, and stored ones.

    adapter's file               live module                       stored
    model.layers.0.q_proj        model.layers.0.q_proj             layers.0.q_proj.weight
    lm_head                      lm_head                           embed_out.weight
    …mlp.experts                 …mlp.experts.gate_up_proj         …experts.0.w1.weight …

Of a class that loads its tensors as they are stored, the two are the same but for a prefix. Any
other class is asked (`engine.family.fit`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from engine.family.checkpoint import Checkpoint
from engine.family.fit import fit_of, is_plain

_WHOLE = "[]"
"""How `fit` spells a stored tensor that is all of a live one."""


class LiveNames:
    """Finds what an adapter names in its base."""

    def __init__(self, base: Checkpoint) -> None:
        stored = {name: name for name in base.tensors}
        self._layers: frozenset[str] | None = None
        self._older: dict[str, str] = {}
        if base.kind == "full" and not is_plain(base) and (fit := fit_of(base)).spots:
            split = {name: spot.partition("|") for name, spot in fit.spots.items()}
            # what only transformers knows wins; the rest (a tied head) keeps its own name
            stored = {name: name for name in base.tensors if name not in split}
            stored |= {live: "" for live, _, _ in split.values()}
            stored |= {live: name for name, (live, _, cut) in split.items() if cut == _WHOLE}
            self._older = {name: live for name, (live, _, cut) in split.items() if cut == _WHOLE}
            self._layers = fit.layers
        self._stored = stored
        self._holders = _holders(stored)
        self._prefixes: dict[tuple[str, str], None] = {}

    def layer(self, name: str) -> str | None:
        """The live layer that peft adapts under a name; None if there is none."""
        known = self._layers if self._layers is not None else self._holders
        found = self._find(name, known)
        if found is None and f"{name}.weight" in self._older:  # as an older transformers had it
            found = self._older[f"{name}.weight"].removesuffix(".weight")
        return found if found is not None and found in known else None

    def holder(self, name: str) -> str | None:
        """The live module of a name: a layer, or what holds parameters of its own."""
        return self.layer(name) or self._find(name, self._holders)

    def stored(self, live: str) -> str:
        """The stored tensor that is a live one as it is; "" if it is put together."""
        return self._stored.get(live, "")

    def tensor(self, name: str) -> str | None:
        """The live tensor of a name; None if there is none."""
        return self._find(name, self._stored)

    def has_bias(self, module: str) -> bool:
        found = self.holder(module)
        return found is not None and f"{found}.bias" in self._stored

    def _find(self, name: str, known: Container[str] | Mapping[str, str]) -> str | None:
        if name in known:
            return name
        for less, more in self._prefixes:
            moved = more + name.removeprefix(less)
            if name.startswith(less) and moved in known:
                return moved
        assert isinstance(known, Iterable)
        close = [each for each in known if each.endswith("." + name) or name.endswith("." + each)]
        if len(close) != 1:
            return None
        short = min(name, close[0], key=len)
        self._prefixes[name.removesuffix(short), close[0].removesuffix(short)] = None
        return close[0]


def _holders(names: Iterable[str]) -> frozenset[str]:
    """Every module that a tensor's name leads through."""
    return frozenset(
        name.rsplit(".", depth)[0] for name in names for depth in range(1, name.count(".") + 1)
    )
