"""mergekit's YAML (0.1.5): its methods, tensor by tensor.

Importing this package registers the methods, one line each, without torch.
"""

from __future__ import annotations

from engine.mergekit.method import MERGES, find_merge
from engine.mergekit.methods import linear as linear
from engine.mergekit.methods import passthrough as passthrough
from engine.mergekit.methods import task_arithmetic as task_arithmetic

__all__ = ["MERGES", "find_merge"]
