"""When a worker imports what it runs on: as much as its first answer needs, and the rest later.

    start      torch, our own modules                      the worker takes jobs
    at rest    transformers' model classes, half of all    once nothing is asked of it for a moment,
                                                           or with the first job that runs a model

Python's cyclic garbage collector walks everything that was imported again and again while more is
imported, a quarter of the time, and finds nothing: it is off meanwhile, and what is there by then
is left out of its walks from then on.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

MODEL_CLASSES = (
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.modeling_utils",
    "transformers.models.llama.modeling_llama",
)
"""Modules that bring what every causal model and its tokenizer needs."""


@contextmanager
def importing() -> Iterator[None]:
    """No walks of the garbage collector within; what is there at the end is never walked again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def fetch_model_classes() -> None:
    """Import what running a model needs; returns at once where that is done."""
    missing = [name for name in MODEL_CLASSES if name not in sys.modules]
    if missing:
        with importing():
            for name in missing:
                importlib.import_module(name)
