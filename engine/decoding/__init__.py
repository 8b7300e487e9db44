"""Logit space: methods that combine the logits of several models at every token, and their loop.

    method file ──► Mixture ──────► Batch ─────────────────┬─► loop.generate
    (torch-free)    names, weights  all modules' forwards,  └─► teacher_forced
                    kind            combined by `rules`

Importing this package registers the methods, one line each, and imports no torch; `batch`, `loop`,
`sampling` and `teacher_forced` do.
"""

from __future__ import annotations

from engine.decoding import arm_guidance as arm_guidance
from engine.decoding import contrastive as contrastive
from engine.decoding import dexperts as dexperts
from engine.decoding import dynamic_fusion as dynamic_fusion
from engine.decoding import eft as eft
from engine.decoding import gated as gated
from engine.decoding import guidance as guidance
from engine.decoding import logit_fusion as logit_fusion
from engine.decoding import proxy_tuning as proxy_tuning
from engine.decoding import single as single
