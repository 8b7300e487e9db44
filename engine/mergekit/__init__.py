"""mergekit's YAML (0.1.5): its methods, tensor by tensor.

Importing this package registers the methods, one line each, without torch.
"""

from __future__ import annotations

from engine.mergekit.method import MERGES, find_merge
from engine.mergekit.methods import arcee_fusion as arcee_fusion
from engine.mergekit.methods import breadcrumbs as breadcrumbs
from engine.mergekit.methods import breadcrumbs_ties as breadcrumbs_ties
from engine.mergekit.methods import dare_linear as dare_linear
from engine.mergekit.methods import dare_ties as dare_ties
from engine.mergekit.methods import della as della
from engine.mergekit.methods import della_linear as della_linear
from engine.mergekit.methods import karcher as karcher
from engine.mergekit.methods import linear as linear
from engine.mergekit.methods import model_stock as model_stock
from engine.mergekit.methods import multislerp as multislerp
from engine.mergekit.methods import nearswap as nearswap
from engine.mergekit.methods import nuslerp as nuslerp
from engine.mergekit.methods import passthrough as passthrough
from engine.mergekit.methods import ram as ram
from engine.mergekit.methods import ramplus_tl as ramplus_tl
from engine.mergekit.methods import sce as sce
from engine.mergekit.methods import slerp as slerp
from engine.mergekit.methods import task_arithmetic as task_arithmetic
from engine.mergekit.methods import ties as ties

__all__ = ["MERGES", "find_merge"]
