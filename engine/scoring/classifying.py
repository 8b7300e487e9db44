"""A classifier that judges texts: which label it gives each.

    directory ──► ClassifierFiles   label id, fingerprint: from its files, no torch
              ──► classify          one text after the other, as plain transformers would

A text is judged by itself, without its prompt and in no batch, so that its label depends on nothing
else. What is longer than the classifier reads is cut at its end.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.errors import bad
from engine.json_reading import read_object

_FILES = (
    "config.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt",
    "spiece.model", "tokenizer.model", "sentencepiece.bpe.model",
)  # fmt: skip
_TOKENIZERS = _FILES[2:3] + _FILES[6:]
_REFUSING = re.compile(r"refus", re.IGNORECASE)
_DENIED = re.compile(r"^\W*(?:no|not|non|un)\b|^(?:no|not|non|un)[\W_]", re.IGNORECASE)


@dataclass(frozen=True)
class ClassifierFiles:
    """A sequence-classification model as its files describe it.

    Attributes:
        labels: id -> name.
    """

    path: Path
    labels: Mapping[int, str]

    @classmethod
    def open(cls, path: str, where: str) -> ClassifierFiles:
        """Read a directory's configuration.

        Raises:
            BadInput: no such directory, no sequence-classification model, code of its own, no
                safetensors or tokenizer, fewer than two labels.
        """
        place = Path(path)
        if not place.is_dir():
            fix = "Give the directory of a sequence-classification model."
            raise bad(f"{where}: {place}", "there is no such directory", fix)
        config = read_object(place / "config.json")
        names = config.get("architectures")
        classes = (
            [each for each in names if isinstance(each, str)] if isinstance(names, list) else []
        )
        if not any(each.endswith("ForSequenceClassification") for each in classes):
            what = f"it is not a sequence-classification model (architectures: {classes or 'none'})"
            raise bad(f"{where}: {place}", what, "Train or choose a classifier and save it there.")
        if config.get("auto_map"):
            what = "it needs custom code, which is never run"
            raise bad(f"{where}: {place}", what, "Use a model class that transformers includes.")
        if not any(place.glob("*.safetensors")):
            raise bad(f"{where}: {place}", "it has no .safetensors file", "Save it as safetensors.")
        if not any((place / each).is_file() for each in _TOKENIZERS):
            raise bad(f"{where}: {place}", "its tokenizer is missing", "Save it there too.")
        return cls(place, _labels(config, f"{where}: {place}"))

    def label(self, wanted: str | None, where: str) -> int:
        """The id of a label by its name or id; without one of the label whose name says refusal.

        Raises:
            BadInput: there is no such label, or none or several say refusal.
        """
        known = ", ".join(f"{each} {name!r}" for each, name in self.labels.items())
        found = [
            each
            for each, name in self.labels.items()
            if (wanted in (name, str(each)) if wanted is not None else _says_refusal(name))
        ]
        if len(found) != 1:
            what = (
                f"no label is {wanted!r}" if wanted is not None else "no single label says refusal"
            )
            fix = f"Name it as label: one of {known}."
            raise bad(f"{where}: {self.path}", what, fix)
        return found[0]

    @property
    def fingerprint(self) -> str:
        """sha256 over the bytes of the files that it is loaded from."""
        files = [self.path / each for each in _FILES if (self.path / each).is_file()]
        files += sorted(self.path.glob("*.safetensors"))
        digests = [[each.name, _digest(str(each), *_identity(each))] for each in files]
        return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def _says_refusal(name: str) -> bool:
    return bool(_REFUSING.search(name)) and not _DENIED.search(name)


def _labels(config: Mapping[str, Any], where: str) -> dict[int, str]:
    named = config.get("id2label")
    if isinstance(named, Mapping):
        labels = {
            int(key): str(value)
            for key, value in named.items()
            if str(key).isdecimal() and len(str(key)) < 12
        }
    else:
        count = config.get("num_labels", 2)
        count = count if isinstance(count, int) and count <= 10_000 else 2
        labels = {each: f"LABEL_{each}" for each in range(count)}
    if len(labels) < 2:
        what = "it has only one label: it predicts a number, not a class"
        raise bad(where, what, "Use a classifier with at least two labels.")
    return dict(sorted(labels.items()))


def _identity(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


@lru_cache(maxsize=256)
def _digest(file: str, size: int, changed: int, inode: int) -> str:
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@lru_cache(maxsize=1)
def _load(path: str, fingerprint: str, device: str) -> tuple[Any, Any]:
    """(tokenizer, model); the fingerprint is there to load changed files again."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    plain: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **plain)
        model = AutoModelForSequenceClassification.from_pretrained(
            path, use_safetensors=True, dtype="float32", **plain
        )
    except (ValueError, KeyError, OSError, ImportError, TypeError, RuntimeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        what = f"transformers cannot load it ({lines[0][:300]})"
        raise bad(f"classifier {path}", what, "Check the files.") from error
    return tokenizer, model.to(device).eval()


def _room(tokenizer: Any, config: Any) -> int | None:
    """Tokens that are read at most; None if there is no limit."""
    positions = getattr(config, "max_position_embeddings", None)
    limits = [each for each in (tokenizer.model_max_length, positions) if each and each < 1 << 30]
    return min(limits, default=None)


def classify(
    files: ClassifierFiles,
    texts: Sequence[str],
    *,
    device: str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> list[int | None]:
    """The most likely label of each text, the lowest id among equals; None for an empty text.

    Args:
        tick: called before each text.

    Raises:
        BadInput: transformers cannot load the classifier.
    """
    import torch

    tokenizer, model = _load(str(files.path), files.fingerprint, device)
    room = _room(tokenizer, model.config)
    known: dict[str, int | None] = {"": None}
    for text in texts:
        if text in known:
            continue
        tick()
        cutting = {"truncation": True, "max_length": room} if room else {}
        ids = tokenizer(text, return_tensors="pt", **cutting).to(device)
        if not ids["input_ids"].numel():
            known[text] = None
            continue
        with torch.inference_mode():
            known[text] = int(model(**ids).logits[0].float().argmax())
    return [known[text] for text in texts]
