"""Weight space: methods that merge checkpoints into one ordinary model.

A method here is called as `build(tensors, **parameters)` with `engine.merging.basis.Tensors` and
returns a basis: an object that writes θ(c) for any coefficients c, tensor by tensor. Importing this
package registers the methods, one line each, without torch.
"""

from __future__ import annotations

from engine.merging import breadcrumbs as breadcrumbs
from engine.merging import breadcrumbs_ties as breadcrumbs_ties
from engine.merging import compeft as compeft
from engine.merging import dare as dare
from engine.merging import dare_linear as dare_linear
from engine.merging import dare_ties as dare_ties
from engine.merging import della as della
from engine.merging import della_linear as della_linear
from engine.merging import linear as linear
from engine.merging import multislerp as multislerp
from engine.merging import pcb as pcb
from engine.merging import rtsv as rtsv
from engine.merging import task_arithmetic as task_arithmetic
from engine.merging import ties as ties
from engine.merging import tsv as tsv
