"""Memory that a process keeps for its next tensors instead of giving it back to the system.

glibc returns what is freed at the top of its heap, and the system clears every page of it before it
is used again: two microseconds each, tens of thousands for a few prompts, a tenth of the time that
small models take to read them.
"""

from __future__ import annotations

import ctypes
import functools

KEPT = 64 << 20
"""Bytes at most that are kept free at the top of the heap."""

OWN_MAPPING = 32 << 20
"""Blocks from this many bytes on are mapped one by one, and returned as soon as they are free; the
largest number that glibc takes."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h


@functools.cache
def keep_pages() -> bool:
    """Keep them from now on; whether the C library is one that can be told so."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, OWN_MAPPING)) and bool(mallopt(_TRIM_THRESHOLD, KEPT))
