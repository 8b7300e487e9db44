"""Weight space: methods that merge checkpoints into one ordinary model.

A method of this wing is called as `build(tensors, **parameters)` with
`engine.merging.basis.Tensors` and returns a basis: something that writes θ(c) for any coefficients
c, tensor by tensor. Importing this package registers the methods and needs no torch.
"""

from __future__ import annotations

from engine.merging import linear, pcb, task_arithmetic

__all__ = ["linear", "pcb", "task_arithmetic"]
