"""Fingerprints: sha256 of what a family computes with, taken in one parallel pass over its files.

    file ─ regions, ≤ 64 MB of one tensor ─► threads: sha256, are all numbers finite? ─► file digest
    file digests + configuration ─► model ─► + names, tokenizer files ─► family

A file's digest is remembered in the workspace under its real path, size, mtime and inode, so only
new or changed files are read again. Bytes are read, not mapped: a file cut short under us gives an
error, not a crash.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import BadInput, Problem, bad
from engine.family.adapter import identity
from engine.family.checkpoint import Checkpoint, is_computed
from engine.family.compatibility import Family
from engine.family.headers import TensorInfo, not_finite
from engine.family.remembering import Digests, file_identity

REGION = 64 << 20
CHUNK = 4 << 20

# exponent bits that are all ones in an infinity or NaN, by type, in an unsigned number of its width
_EXPONENT: dict[str, np.unsignedinteger[Any]] = {
    "F64": np.uint64(0x7FF0_0000_0000_0000),
    "F32": np.uint32(0x7F80_0000),
    "F16": np.uint16(0x7C00),
    "BF16": np.uint16(0x7F80),
}
# keys of config.json that say where a model came from, not what it computes
_PROVENANCE = ("_name_or_path", "transformers_version", "_commit_hash")


def nothing() -> None:
    """The tick of work that is never interrupted."""


def _finite(chunk: memoryview, dtype: str) -> bool:
    exponent = _EXPONENT[dtype]
    bits = np.frombuffer(chunk, dtype=exponent.dtype)
    return not bool(((bits & exponent) == exponent).any())


class _Region:
    """A run of bytes of one tensor."""

    def __init__(self, info: TensorInfo, start: int, end: int) -> None:
        self.info = info
        self.start = start
        self.end = end

    def digest(self, stop: threading.Event) -> tuple[bytes, bool]:
        """(sha256, whether all numbers are finite); raises `BadInput` when the file is cut."""
        whole = hashlib.sha256()
        checked = self.info.dtype in _EXPONENT and not is_computed(self.info)
        finite = True
        buffer = memoryview(bytearray(min(CHUNK, max(self.end - self.start, 1))))
        with self.info.file.open("rb", buffering=0) as file:
            file.seek(self.start)
            left = self.end - self.start
            while left and not stop.is_set():
                part = buffer[: min(left, len(buffer))]
                filled = 0
                while filled < len(part):
                    got = file.readinto(part[filled:])
                    if not got:
                        what = f"it ends inside tensor {self.info.name}"
                        raise bad(str(self.info.file), what, "Something is writing to the file.")
                    filled += got
                whole.update(part)
                if checked and finite:
                    finite = _finite(part, self.info.dtype)
                left -= len(part)
        return whole.digest(), finite


def _regions(tensors: Iterable[TensorInfo]) -> list[_Region]:
    return [
        _Region(info, start, min(start + REGION, info.end))
        for info in tensors
        for start in (range(info.start, info.end, REGION) if info.bytes else (info.start,))
    ]


def _file_digest(tensors: Mapping[str, TensorInfo], parts: Mapping[str, list[bytes]]) -> str:
    """sha256 over the tensors of one file by name, in whatever order the file has them."""
    whole = hashlib.sha256()
    for name in sorted(tensors):
        info = tensors[name]
        line = json.dumps(
            [name, info.dtype, info.shape, hashlib.sha256(b"".join(parts[name])).hexdigest()]
        )
        whole.update(line.encode() + b"\n")
    return whole.hexdigest()


def _hash_files(
    files: Mapping[Path, Mapping[str, TensorInfo]], tick: Callable[[], None]
) -> dict[Path, str]:
    """Digest of every file.

    Raises:
        BadInput: tensors that hold a NaN or an infinity; a file that changes meanwhile.
    """
    before = {path: file_identity(path) for path in files}
    regions = _regions(info for tensors in files.values() for info in tensors.values())
    results: dict[tuple[Path, str, int], bytes] = {}
    broken: dict[tuple[Path, str], None] = {}
    stop = threading.Event()
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1), "fingerprint") as pool:
        futures = {pool.submit(each.digest, stop): each for each in regions}
        try:
            for future in as_completed(futures):
                region = futures[future]
                digest, finite = future.result()
                results[region.info.file, region.info.name, region.start] = digest
                if not finite:
                    broken[region.info.file, region.info.name] = None
                tick()
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    if broken:
        found = sorted(broken)
        problems = [not_finite(path, name) for path, name in found[:20]]
        if len(found) > 20:
            problems.append(
                Problem(
                    str(found[20][0]), f"{len(found) - 20} more tensors do too", problems[0].fix
                )
            )
        raise BadInput(*problems)
    digests = {}
    for path, tensors in files.items():
        if file_identity(path) != before[path]:
            raise bad(
                str(path),
                "it changed while it was being read",
                "Wait until it is completely written.",
            )
        parts: dict[str, list[bytes]] = {name: [] for name in tensors}
        for region in regions:
            if region.info.file == path:
                parts[region.info.name].append(results[path, region.info.name, region.start])
        digests[path] = _file_digest(tensors, parts)
    return digests


def _tensors_by_file(models: Iterable[Checkpoint]) -> dict[Path, dict[str, TensorInfo]]:
    files: dict[Path, dict[str, TensorInfo]] = {}
    for model in models:
        for info in model.tensors.values():
            files.setdefault(info.file, {})[info.name] = info
    return files


def _model_fingerprint(model: Checkpoint, digests: Mapping[Path, str]) -> str:
    config: Any = {key: value for key, value in model.config.items() if key not in _PROVENANCE}
    if model.adapter is not None:
        config = identity(model.adapter, model.tensors)
    data = [model.kind, config, sorted(digests[file] for file in model.files)]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def fingerprints(
    family: Family, workspace: Path | None, tick: Callable[[], None] = nothing
) -> dict[str, str]:
    """sha256 of every model by name: its tensors and its configuration, or its adapter's scales.

    Args:
        workspace: where digests are remembered; one that cannot be written only costs time, and so
            does None.
        tick: called once a region, in the caller's thread; what it raises ends the pass.

    Raises:
        BadInput: weights that are not finite (file and tensor), or files that change meanwhile.
    """
    files = _tensors_by_file(family.models.values())
    memory = None if workspace is None else Digests(workspace)
    try:
        digests = {
            path: known
            for path in files
            if memory is not None and (known := memory.find(path)) is not None
        }
        fresh = _hash_files(
            {path: each for path, each in files.items() if path not in digests}, tick
        )
        if memory is not None:
            memory.add(fresh)
    except OSError as error:
        where = str(error.filename or family.spec.base)
        raise bad(where, f"cannot be read ({error.strerror or error})", "Check the disk.") from None
    digests |= fresh
    return {name: _model_fingerprint(model, digests) for name, model in family.models.items()}


def family_fingerprint(family: Family, workspace: Path, tick: Callable[[], None] = nothing) -> str:
    """`fingerprint_of` a family whose models are read for it; arguments as of `fingerprints`."""
    return fingerprint_of(family, fingerprints(family, workspace, tick))


def fingerprint_of(family: Family, models: Mapping[str, str]) -> str:
    """sha256 of all that scores of a family depend on: models by name, tokenizer files.

    The tokenizer's files include chat template and generation_config; the words of models that have
    their own count beside them. Where models lie and the
    order of the experts do not matter, except for the order in which they supply vocabulary rows.

    Args:
        models: the fingerprint of each by name.
    """
    rows = {
        name: [[each.start, each.stop, each.model] for each in plan.extra]
        for name, plan in family.vocabulary_tensors.items()
        if plan.extra
    }
    data: dict[str, Any] = {
        "models": dict(models),
        "tokenizer": family.spec.tokenizer,
        "tokenizer_files": None if family.tokenizer is None else family.tokenizer.hash,
        "rows": rows,
    }
    if family.spec.towers != "base" and family.base.towers:
        data["towers"] = family.spec.towers
    if family.words:
        data["words"] = {name: each.as_dict() for name, each in sorted(family.words.items())}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
