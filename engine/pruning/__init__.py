"""Edits of merged weights: what a recipe's `prune` does (Antidote, arXiv 2408.09600)."""
