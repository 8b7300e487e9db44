"""Taking a mixture home: checkpoints, adapters, decoding folders, and the card beside them."""
