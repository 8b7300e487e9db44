"""The words of the product, a plain sentence each, for whoever meets one for the first time.

Methods, parameters and scorers say themselves what they do, where they are registered.
"""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, str] = {
    "base": "The model that all experts were fine-tuned from.",
    "expert": "A fine-tune of the base: a full checkpoint, or an adapter such as LoRA.",
    "target": "A larger model that small experts steer; not every family has one.",
    "family": "Base, experts and target: models that can be mixed because their parts match.",
    "task vector": "What an expert learned: its weights minus the base's.",
    "method": "A way to combine the models; its sliders say how much of each goes in.",
    "coefficient": "The number a slider moves: how much of one model is in the mixture.",
    "parameter": "A setting of a method besides its sliders; a change takes effect with Apply.",
    "recipe": "A method with its parameters and coefficients: all that a mixture is made of.",
    "weight space": "The models' weights are merged into one ordinary model.",
    "logit space": "Several models run side by side, and their outputs are mixed at every token.",
    "logits": "The numbers a model gives all tokens, from which it chooses the next one.",
    "objective": "What is measured: a data set, a scorer and whether more or less is better.",
    "scorer": "Turns one answer of a model, or its probabilities, into a number.",
    "score": "The result of a mixture on an objective, with its standard error.",
    "standard error": "How far a score would typically move with other examples of the same kind.",
    "interval": "The range that holds the true score 95 times in 100.",
    "point": "A recipe with its measured scores: one mark in the chart.",
    "study": "A family, its objectives and all points measured so far.",
    "front": "The points that no other beats: what is better on one objective is worse on another.",
    "dominated": "Another point is at least as good on every objective, and better on one.",
    "knee": "Where the front bends: from there on, a small gain costs a lot.",
    "preference": "How much each objective counts for you; the pick is the best point for it.",
    "pick": "The point of the front that fits your preference and your bounds best.",
    "bound": "The least or the most that you accept of an objective; other points are set aside.",
    "surface": "Predicted scores over the sliders, fitted to the measured points of one method.",
    "band": "Where a measured score would lie 95 times in 100, if the surface is right.",
    "hypervolume": "The room that the front encloses: it grows with every point that improves it.",
    "reference": "The corner that the hypervolume is measured from, a little worse than any model.",
    "sweep": "Many points of one or more methods, measured one after another.",
    "design": "How a sweep spreads its points over the sliders.",
    "seed": "Another seed gives other points of the same kind; the same seed gives the same.",
    "held back": "Examples that are left out while you explore, and measured once, at an export.",
    "tray": "Up to four recipes whose answers you want to compare.",
    "numerics": "What the digits depend on besides the recipe: kind of device and precision.",
}
"""Word -> its sentence, in the order in which they are met."""


def page() -> str:
    """The words as a list in Markdown, for docs/methods.md."""
    return "".join(f"* **{word}**: {sentence}\n" for word, sentence in WORDS.items())
