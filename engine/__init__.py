"""The engine: recipes in, composed models, scores and checkpoints out.

Importing it registers every method; nothing imported here needs torch.
"""

from __future__ import annotations

from engine import decoding as decoding
from engine import merging as merging
