"""Reading checkpoints and adapters: their contents, whether they fit together, their tokens."""
