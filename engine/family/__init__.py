"""Checkpoints and adapters in: what they hold, whether they fit together, their tokens."""
