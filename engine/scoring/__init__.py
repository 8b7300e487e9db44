"""Objectives in, scores out.

    Objective ─► rows ─► token ids ─► what the model did ─► values ─► Score
                 data    encoding     evaluate              a scorer  scores

Importing this registers every scorer. Only `engine.scoring.evaluate` needs torch.
"""

from __future__ import annotations

from engine.scoring import abstaining as abstaining
from engine.scoring import calibration as calibration
from engine.scoring import combining as combining
from engine.scoring import diversity as diversity
from engine.scoring import exported as exported
from engine.scoring import likelihood as likelihood
from engine.scoring import steering as steering
from engine.scoring import text_scorers as text_scorers
from engine.scoring import voted as voted
