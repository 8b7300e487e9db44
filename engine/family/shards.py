"""The weight files of a model directory, which are those that transformers reads and no others.

    model.safetensors                  it alone, whatever lies beside it
    model.safetensors.index.json       else the shards that it names, every tensor in them

`consolidated.safetensors`, weights of a variant ("model.fp16.safetensors"), an index beside
model.safetensors and shards that no index names are not read.
Source: transformers' `_get_resolved_checkpoint_files` (5.23).
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from engine.errors import BadInput, Problem, bad
from engine.family.headers import TensorInfo, read_header
from engine.json_reading import read_object

logger = logging.getLogger(__name__)

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
CONVERT = (
    "Convert it to safetensors where you trust it: load it there and save it again with "
    "save_pretrained. "
    "Those formats are pickles, and opening a pickle runs any code in it."
)

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
# files of a distributed checkpoint, which transformers takes before any other
_DISTRIBUTED = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors")


def no_weights(path: Path, name: str, expected: str) -> BadInput:
    """The error for missing weights, which says what lies there instead."""
    there = sorted(each.name for each in path.iterdir() if each.is_file())
    pickles = [each for each in there if Path(each).suffix in PICKLES]
    if pickles:
        return bad(
            f"{name} ({path})",
            f"there are only pickled weights ({', '.join(pickles[:3])})",
            CONVERT,
        )
    others = [each for each in there if each.endswith((".safetensors", ".gguf"))]
    seen = f"; there is {', '.join(others[:3])}" if others else ""
    return bad(f"{name} ({path})", f"there is no {expected}{seen}", "Download the weights again.")


def weight_files(path: Path) -> list[Path]:
    """The files that transformers reads weights from, the index in front where it has one.

    A directory without any gives an empty list; what an index says is not checked here.
    """
    if (path / WEIGHTS).is_file():
        return [path / WEIGHTS]
    index = path / INDEX
    if not index.is_file():
        return []
    places = read_object(index).get("weight_map")
    names = {str(each) for each in places.values()} if isinstance(places, dict) else set()
    return [index, *(path / name for name in sorted(names))]


def read_weights(path: Path, name: str) -> dict[str, TensorInfo]:
    """All tensors of a directory: model.safetensors, else the shards of its index."""
    distributed = sorted(each.name for each in path.iterdir() if _DISTRIBUTED.match(each.name))
    if distributed:
        what = (
            f"{distributed[0]} is part of a distributed checkpoint, which stores weights in slices"
        )
        raise bad(f"{name} ({path})", what, "Load it and save_pretrained it as one model.")
    if (path / WEIGHTS).is_file():
        return read_header(path / WEIGHTS)
    index = path / INDEX
    if not index.is_file():
        raise no_weights(path, name, WEIGHTS)
    found = read_object(index)
    places = found.get("weight_map")
    if (
        not isinstance(places, dict)
        or not places
        or not all(isinstance(each, str) for each in places.values())
    ):
        raise bad(
            str(index), "weight_map must map tensor names to files", "Download the index again."
        )
    if "metadata" not in found:
        what = "it has no 'metadata', which transformers requires"
        raise bad(str(index), what, 'Add "metadata": {} to it, or download it again.')
    problems: list[Problem] = []
    tensors: dict[str, TensorInfo] = {}
    for shard in sorted(set(places.values())):
        # a plain name cannot lead out of the directory; links are followed: the hub caches links
        if (
            not shard.endswith(".safetensors")
            or shard != Path(shard).name
            or "\\" in shard
            or "\0" in shard
        ):
            what = (
                f"the shard {shard!a} is not the plain name of a .safetensors file beside the index"
            )
            problems.append(
                Problem(
                    str(index), what, "Do not use this download; shards belong beside their index."
                )
            )
            continue
        if not (path / shard).is_file():
            problems.append(
                Problem(
                    str(index),
                    f"the shard {shard} is missing",
                    "Download it, or correct the index.",
                )
            )
            continue
        try:
            held = read_header(path / shard)
        except BadInput as error:
            problems.extend(error.problems)
            continue
        for key in sorted(held.keys() & tensors.keys()):
            what = f"tensor {key} is in both {tensors[key].file.name} and {shard}"
            problems.append(Problem(str(index), what, "Keep one of the two."))
        absent = sorted(key for key, place in places.items() if place == shard and key not in held)
        if absent:
            more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
            what = f"tensor {absent[0]}{more} is not in {shard}, where the index puts it"
            problems.append(Problem(str(index), what, "Download the shard again."))
        unlisted = sorted(held.keys() - places.keys())
        if unlisted:
            logger.warning(
                "%s: %s has tensors that are not in the index: %s", index, shard, unlisted[:3]
            )
        tensors.update(held)
    if problems:
        raise BadInput(*problems)
    return tensors
