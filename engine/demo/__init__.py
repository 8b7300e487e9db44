"""The demo family: a small invented world, the models trained on it, and their study."""

from __future__ import annotations

from engine.demo.write import demo_in, write_demo

__all__ = ["demo_in", "write_demo"]
