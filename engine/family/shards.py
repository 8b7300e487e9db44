"""The weight files of a model directory: model.safetensors, or the shards that an index names."""

from __future__ import annotations

import logging
from pathlib import Path

from engine.errors import BadInput, Problem, bad
from engine.family.headers import TensorInfo, read_header
from engine.family.tokenizer import read_object

logger = logging.getLogger(__name__)

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
CONVERT = (
    "Convert it to safetensors where you trust it: load it there and save_pretrained it again. "
    "Those formats are pickles, and opening a pickle runs whatever code it holds."
)


def no_weights(path: Path, name: str, expected: str) -> BadInput:
    """The error for missing weights, which says what lies there instead."""
    there = sorted(each.name for each in path.iterdir() if each.is_file())
    pickles = [each for each in there if Path(each).suffix in PICKLES]
    if pickles:
        return bad(
            f"{name} ({path})",
            f"only pickled weights are here ({', '.join(pickles[:3])})",
            CONVERT,
        )
    others = [each for each in there if each.endswith((".safetensors", ".gguf"))]
    seen = f"; there is {', '.join(others[:3])}" if others else ""
    return bad(f"{name} ({path})", f"there is no {expected}{seen}", "Download the weights again.")


def read_weights(path: Path, name: str) -> dict[str, TensorInfo]:
    """All tensors of a directory: model.safetensors, else the shards of its index."""
    single = path / "model.safetensors"
    if single.is_file():
        return read_header(single)
    index = path / "model.safetensors.index.json"
    if not index.is_file():
        raise no_weights(path, name, "model.safetensors")
    places = read_object(index).get("weight_map")
    if (
        not isinstance(places, dict)
        or not places
        or not all(isinstance(each, str) for each in places.values())
    ):
        raise bad(
            str(index), "weight_map must map tensor names to files", "Download the index again."
        )
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
                    str(index), what, "Do not use this download; shards lie beside their index."
                )
            )
            continue
        if not (path / shard).is_file():
            problems.append(
                Problem(
                    str(index), f"the shard {shard} is missing", "Download it, or mend the index."
                )
            )
            continue
        try:
            found = read_header(path / shard)
        except BadInput as error:
            problems.extend(error.problems)
            continue
        for key in sorted(found.keys() & tensors.keys()):
            what = f"tensor {key} stands in {tensors[key].file.name} and in {shard}"
            problems.append(Problem(str(index), what, "Keep one of the two."))
        absent = sorted(key for key, place in places.items() if place == shard and key not in found)
        if absent:
            more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
            what = f"tensor {absent[0]}{more} is not in {shard}, where the index has it"
            problems.append(Problem(str(index), what, "Download the shard again."))
        unlisted = sorted(found.keys() - places.keys())
        if unlisted:
            logger.warning(
                "%s: %s has tensors that the index does not list: %s", index, shard, unlisted[:3]
            )
        tensors.update(found)
    if problems:
        raise BadInput(*problems)
    return tensors
