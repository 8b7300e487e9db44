"""The demo family: a small invented world, models trained on it, and the study that comes with
them."""

from __future__ import annotations

from engine.demo.write import demo_in, write_demo

__all__ = ["demo_in", "write_demo"]
