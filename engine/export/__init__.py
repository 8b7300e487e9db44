"""Exports of a mixture: checkpoints, adapters, decoding folders, and their model cards."""
