"""Where the stored tensors of a checkpoint go in the live module, by transformers' own mapping.

    stored                                     live                                      how
    model.norm.weight                          model.norm.weight                         a part
    embed_out.weight                           lm_head.weight                            a part
    …experts.0.w1.weight  …experts.7.w3.weight …experts.gate_up_proj [8, 2 · 14336, …]   parts
    …self_attn.qkv_proj.weight                 …q_proj.weight …k_proj.weight …           a group

transformers 5 renames, stacks, splits, transposes and permutes tensors while it loads them. The
names are led through the very objects that it loads with (`conversion_mapping.py`,
`core_model_loading.py`), so whatever it can load can be placed. A tensor that becomes a parameter,
a stored buffer or a slice of one is a *part*: it is written there directly. All others are
*groups*: transformers' converter is run on the group's tensors, and its results are copied into
place. Either way the memory of the module stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Part:
    """One stored tensor that is a parameter or buffer, or a slice of one.

    Attributes:
        target: name in the module's state dict.
        cuts: (dimension, start, length) of each slice on the way; length 0 drops the dimension.
    """

    target: str
    cuts: tuple[tuple[int, int, int], ...] = ()

    def of(self, whole: Tensor) -> Tensor:
        """The slice of the target: a view, shaped as the stored tensor."""
        for dimension, start, length in self.cuts:
            if length:
                whole = whole.narrow(dimension, start, length)
            else:
                whole = whole.select(dimension, start)
        return whole


@dataclass(frozen=True, eq=False)
class Group:
    """Stored tensors that are converted together.

    Attributes:
        key: the first parameter that they make, as transformers calls it.
        converter: transformers' converter for them, without tensors.
        sources: (pattern of the converter, stored name), in the order in which it takes them.
        targets: names in the module's state dict that the converter makes.
    """

    key: str
    converter: Any
    sources: tuple[tuple[str, str], ...]
    targets: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for _, name in self.sources)

    def convert(self, tensors: Mapping[str, Tensor], module: PreTrainedModel) -> dict[str, Tensor]:
        """What transformers makes of the group's tensors: name in the module -> tensor.

        Args:
            tensors: by stored name, of the dtype that the module computes in.
        """
        mine = deepcopy(self.converter)
        for pattern, name in self.sources:
            mine.add_tensor(self.key, name, pattern, tensors[name])
        made = mine.convert(self.key, model=module, config=module.config)
        return {key: each[0] if isinstance(each, list) else each for key, each in made.items()}


@dataclass(frozen=True)
class Placement:
    """Every stored tensor's place in one module.

    Attributes:
        parts: stored name -> its place.
        groups: what has to be converted.
        unused: stored names that the class has no place for.
        twice: (stored name, stored name) that make the same parameter under two names.
        failed: (stored name, why) of a group that cannot be converted.
        fixed: stored buffer -> (where, what) its class sets on loading, whatever is stored.
    """

    parts: Mapping[str, Part]
    groups: tuple[Group, ...]
    unused: tuple[str, ...] = ()
    twice: tuple[tuple[str, str], ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    fixed: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def targets(self) -> Iterator[tuple[str, str]]:
        """(stored name, name in the module) of every pair that belongs together."""
        for name, part in self.parts.items():
            yield name, part.target
        for group in self.groups:
            for name in group.names:
                for target in group.targets:
                    yield name, target


def state_of(module: torch.nn.Module) -> dict[str, Tensor]:
    """Parameters and stored buffers by name; tied ones under each of their names."""
    return module.state_dict(keep_vars=True)


def place(module: PreTrainedModel, stored: Mapping[str, tuple[int, ...]]) -> Placement:
    """Find the place of every stored tensor.

    Args:
        module: loaded, or made on the meta device; only names and shapes are looked at.
        stored: name -> shape.
    """
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import (
        WeightConverter,
        WeightRenaming,
        dot_natural_key,
        rename_source_key,
    )

    mapping = get_model_conversion_mapping(module)
    renamings = [each for each in mapping if isinstance(each, WeightRenaming)]
    converters = [each for each in mapping if isinstance(each, WeightConverter)]
    by_pattern = {key: each for each in converters for key in each.source_patterns}
    state = state_of(module)
    prefix = module.base_model_prefix
    parts: dict[str, Part] = {}
    collected: dict[str, list[tuple[str, str]]] = {}
    taken: dict[str, str] = {}
    unused, twice, failed = [], [], []
    for name in sorted(stored, key=dot_natural_key):  # some renamings depend on the order
        key, pattern = rename_source_key(name, renamings, converters, prefix, state)
        if key not in state and name in state:
            key, pattern = rename_source_key(name, [], [], prefix, state)
        if key not in state:
            unused.append(name)
        elif pattern is not None:
            if key in taken:
                twice.append((taken[key], name))
            collected.setdefault(key, []).append((pattern, name))
        elif key in taken or key in collected:
            twice.append((taken.get(key) or collected[key][0][1], name))
        else:
            taken[key] = name
            parts[name] = Part(key)
    groups = []
    for key, sources in collected.items():
        group = Group(key, by_pattern[sources[0][0]], tuple(sources))
        sliced = _slices(group, stored, state[key].shape)
        if sliced is not None:
            parts |= sliced
            continue
        shapes = {name: torch.empty(stored[name], device="meta") for name in group.names}
        try:
            made = group.convert(shapes, module)
        except (ValueError, RuntimeError, KeyError, IndexError, AttributeError, TypeError) as error:
            failed.append(
                (group.names[0], str(error).splitlines()[0] if str(error) else type(error).__name__)
            )
            continue
        groups.append(Group(key, group.converter, group.sources, tuple(made)))
    return Placement(parts, tuple(groups), tuple(unused), tuple(twice), tuple(failed))


def _slices(
    group: Group, stored: Mapping[str, tuple[int, ...]], whole: torch.Size
) -> dict[str, Part] | None:
    """The parts of a group that only stacks and concatenates; None for every other group."""
    from transformers.core_model_loading import Concatenate, MergeModulelist

    kinds = tuple(type(each) for each in group.converter.operations)
    stack = join = None
    if kinds == (MergeModulelist,):
        (stack,) = group.converter.operations
    elif kinds == (Concatenate,):
        (join,) = group.converter.operations
    elif kinds == (MergeModulelist, Concatenate):
        stack, join = group.converter.operations
    else:
        return None
    if len(group.converter.target_patterns) != 1 or (
        join is None and len({pattern for pattern, _ in group.sources}) != 1
    ):
        return None
    parts: dict[str, Part] = {}
    total = 0
    for pattern in group.converter.source_patterns:
        names = [name for each, name in group.sources if each == pattern]
        stacks = [names] if stack is not None else [[name] for name in names]
        for together in stacks if names else ():
            shape = list(stored[together[0]])
            if any(list(stored[name]) != shape for name in together):
                return None
            if stack is not None:
                shape.insert(
                    stack.dim if stack.dim >= 0 else stack.dim + len(shape) + 1, len(names)
                )
            cuts: tuple[tuple[int, int, int], ...] = ()
            if join is not None:
                if not -len(shape) <= join.dim < len(shape):
                    return None
                cuts = ((join.dim, total, shape[join.dim]),)
                total += shape[join.dim]
                shape[join.dim] = whole[join.dim] if len(whole) == len(shape) else -1
            if list(whole) != shape:
                return None
            for index, name in enumerate(together):
                cut = () if stack is None else ((stack.dim, index, 0),)
                parts[name] = Part(group.key, (*cuts, *cut))
    return None if join is not None and total != whole[join.dim] else parts
