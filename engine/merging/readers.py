"""The readers of a family's models, each opened when it is first asked for, and the models'
fingerprints, taken when one is.

An adapter that is not a sum of low-rank products is merged by peft at that moment, once; its reader
is that of the resulting full expert.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.family.compatibility import Family
from engine.family.fingerprint import fingerprints
from engine.family.weights import Reader

if TYPE_CHECKING:
    from engine.merging.materialised import Materialised


class Readers:
    """Model name -> its reader.

    Args:
        tick: called after an adapter is merged.
        workspace: where merged adapters are kept; None for as long as this object lives.
        known: gives the models' fingerprints by name, where the workspace is not to be asked.
        check: refuse numbers that are not finite as they are read; fingerprints look for them, too.
    """

    def __init__(
        self,
        family: Family,
        tick: Callable[[], None],
        workspace: Path | None,
        known: Callable[[], Mapping[str, str]] | None = None,
        check: bool = False,
    ) -> None:
        self._family = family
        self._tick = tick
        self._workspace = workspace
        self._open: dict[str, Reader] = {}
        self._materialised: Materialised | None = None
        self._take = known or (lambda: fingerprints(family, workspace, tick))
        self._known: Mapping[str, str] | None = None
        self._check = check

    def __getitem__(self, model: str) -> Reader:
        if model not in self._open:
            found = self._family.models[model]
            if found.kind == "adapter":
                found = self._adapters().expert(found)
                self._tick()
            self._open[model] = Reader(found, self._check)
        return self._open[model]

    def fingerprints(self) -> Mapping[str, str]:
        """sha256 of every model by name; all files are read where no workspace remembers them."""
        if self._known is None:
            self._known = self._take()
        return self._known

    def _adapters(self) -> Materialised:
        if self._materialised is None:
            from engine.merging.materialised import Materialised  # peft takes a second to import

            known = None if self._workspace is None else self.fingerprints()
            self._materialised = Materialised(self._family.base, self._workspace, known)
        return self._materialised
