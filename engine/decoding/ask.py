"""A trial in a separate process: configuration on standard input, answer on the last output line.

python -m engine.decoding.ask < config.json
"""

from __future__ import annotations

import json
import sys

from engine.decoding.opening import answer_document


def main() -> None:
    """Answer one configuration."""
    import torch

    torch.set_num_threads(1)
    document = answer_document(json.load(sys.stdin))
    sys.stdout.write(f"\n{json.dumps(document)}\n")


if __name__ == "__main__":
    main()
