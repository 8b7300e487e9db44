"""Parameters that several of mergekit's methods have, with mergekit's defaults."""

from __future__ import annotations

from engine.parameter import Parameter

WEIGHT = Parameter("weight", "float", "How much of this model counts.", required=True)
DENSITY = Parameter("density", "float", "Share of a tensor's differences that is kept.", 1.0)
GAMMA = Parameter("gamma", "float", "Share of the largest differences that is removed.", 0.01)
EPSILON = Parameter("epsilon", "float", "How far chances to be kept lie from the density.", 0.15)
LAMBDA = Parameter("lambda", "float", "Multiplies the merged difference to the base.", 1.0)


def normalize(default: bool) -> Parameter:
    """`normalize`, whose default differs between methods."""
    return Parameter("normalize", "flag", "Divide by the sum of the weights.", default)


def rescale(default: bool) -> Parameter:
    """`rescale`, whose default differs between methods."""
    sentence = "Scale what is kept of a tensor to the sum of magnitudes it had."
    return Parameter("rescale", "flag", sentence, default)
