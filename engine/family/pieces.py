"""The pieces of a sentencepiece model file, in the order of their ids, without that library.

    ModelProto      field 1, repeated: SentencePiece     2 … settings and self-tests, skipped
    SentencePiece   field 1: the piece                   2 and 3: its score and kind, skipped

Source: sentencepiece_model.proto; the wire format of protocol buffers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

NAMES = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
# classes that number their tokens otherwise than the pieces lie (fairseq's four come first)
_RENUMBERED = (
    "XGLM", "XLMRoberta", "Camembert", "MBart", "Nllb", "Barthez", "Bartpho", "M2M100", "Plbart",
    "Pegasus", "CPMAnt", "CpmAnt", "Speech2Text", "BigBirdPegasus", "Fairseq",
)  # fmt: skip


class _NotPieces(ValueError):
    """The bytes are no sentencepiece model."""


def pieces_file(path: Path) -> Path | None:
    """A directory's sentencepiece model, if it has one."""
    return next((path / name for name in NAMES if (path / name).is_file()), None)


def read_pieces(file: Path, tokenizer_class: str = "") -> dict[int, str] | None:
    """id -> piece; None if the file is of another form, or its class numbers them otherwise."""
    if file.name == "sentencepiece.bpe.model" or tokenizer_class.startswith(_RENUMBERED):
        return None
    try:
        found = [
            piece.decode("utf-8")
            for number, message in _fields(file.read_bytes())
            if number == 1 and isinstance(message, bytes)
            for inner, piece in _fields(message)
            if inner == 1 and isinstance(piece, bytes)
        ]
    except (_NotPieces, UnicodeDecodeError):
        return None
    return dict(enumerate(found)) or None


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of every field: bytes for what has a length, else the number itself."""
    place = 0
    while place < len(data):
        key, place = _number(data, place)
        kind = key & 7
        if kind == 0:
            value, place = _number(data, place)
            yield key >> 3, value
            continue
        if kind == 2:
            size, place = _number(data, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise _NotPieces(f"wire type {kind}")
        if place + size > len(data):
            raise _NotPieces("it ends within a field")
        yield key >> 3, data[place : place + size]
        place += size


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A variable-length number and where it ends."""
    value = 0
    for shift in range(0, 64, 7):
        if place >= len(data):
            raise _NotPieces("it ends within a number")
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise _NotPieces("a number of more than 64 bits")
