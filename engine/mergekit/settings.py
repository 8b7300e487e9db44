"""Parameters that several of mergekit's methods have, with mergekit's defaults."""

from __future__ import annotations

from engine.parameter import Parameter

WEIGHT = Parameter("weight", "float", "How much of this model counts.", required=True)


def normalize(default: bool) -> Parameter:
    """`normalize`, whose default differs between methods."""
    return Parameter("normalize", "flag", "Divide by the sum of the weights.", default)


LAMBDA = Parameter("lambda", "float", "Multiplies the merged difference to the base.", 1.0)
