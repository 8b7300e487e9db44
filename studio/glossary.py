"""The terms of the product, with one plain sentence each.

Methods, parameters and scorers are described where they are registered.
"""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, str] = {
    "base": "The model that all experts were fine-tuned from.",
    "expert": "A fine-tune of the base: a full checkpoint, or an adapter such as LoRA.",
    "target": "A larger model that the small experts steer; optional.",
    "family": "Base, experts and optional target: models that are compatible and can be mixed.",
    "task vector": "An expert's weights minus the base's: what fine-tuning changed.",
    "method": "A way to combine models; its sliders set how much of each goes in.",
    "coefficient": "The number a slider sets: how much of one model is in the mixture.",
    "band of layers": "Neighbouring layers that share their coefficients; `groups` says how many "
    "bands there are.",
    "parameter": "A setting of a method besides its sliders; changes take effect when you press "
    "Apply.",
    "recipe": "A method with its parameters and coefficients: everything that defines a mixture.",
    "pruning": "Zeroing the merged weights that react most to one objective's examples.",
    "weight space": "The models' weights are merged into one ordinary model.",
    "logit space": "Several models run side by side, and their logits are combined at every token.",
    "logits": "A model's unnormalised scores for all tokens, from which the next token is chosen.",
    "objective": "What is measured: a dataset, a scorer, and whether higher or lower is better.",
    "scorer": "Turns a model's answer, or its probabilities, into a number.",
    "score": "A mixture's result on an objective, with its standard error.",
    "standard error": "How much a score would typically vary with other examples of the same kind.",
    "interval": "A 95 % confidence interval: it contains the true score in about 95 of 100 cases.",
    "point": "A recipe with its measured scores: one mark in the chart.",
    "study": "A family, its objectives and all points measured so far.",
    "external point": "A model that others measured, beside your points; on no front, from a "
    "results file.",
    "front": "The Pareto front: the points that no other point dominates.",
    "dominated": "Said of a point when another is at least as good on every objective and better "
    "on one.",
    "knee": "Where the front bends: beyond it, a small gain on one objective costs a lot on "
    "another.",
    "preference": "How much each objective matters to you, as weights; it determines the pick.",
    "pick": "The point of the front that best fits your preference and bounds.",
    "bound": "The lowest or highest value of an objective that you accept; other points are left "
    "out.",
    "constraint": "A linear condition on several objectives, such as 2*facts - refusals >= 0.5.",
    "trade": "How much of one objective makes up for losing 1 of another.",
    "utility": "Your own formula over objectives; the pick then has its largest value.",
    "surface": "Predicted scores over the sliders, fitted to the measured points of one method.",
    "band": "Where a measured score would lie in 95 of 100 cases, if the surface fits.",
    "hypervolume": "The volume that the front dominates: it grows with every point that improves "
    "the front.",
    "reference": "The corner that the hypervolume is measured from: slightly worse than every "
    "unmerged model.",
    "sweep": "A run that measures many points of one or more methods, one after another.",
    "design": "How a sweep places its points over the sliders.",
    "still": "Nothing expected to be gained: less than 1 % of hypervolume, or less than the noise.",
    "seed": "The same seed gives the same points; another seed gives different ones.",
    "held back": "Examples that are not used while you explore and are scored once, at export.",
    "tray": "Up to four recipes whose answers you want to compare.",
    "numerics": "What a score depends on besides the recipe: device kind and precision.",
}
"""Word -> its sentence, in the order in which they are met."""


def page() -> str:
    """The words as a list in Markdown, for docs/methods.md."""
    return "".join(f"* **{word}**: {sentence}\n" for word, sentence in WORDS.items())
