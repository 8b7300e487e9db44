"""The fuzzer by itself: `make fuzz`, or

    python -m tests.fuzz --inputs 10000 --seed 1 [--keep DIR]

One JSON line at the end; every finding of another kind before it, with the input that shows it.
Exit 1 where there is one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.campaign import run_campaign, summary
from tests.fuzz.watching import distinct


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        campaign = run_campaign(Path(place), args.inputs, args.seed)
        for kind, findings in distinct(campaign.findings).items():
            print(f"{len(findings)} × {kind}\n{findings[0].input}\n{findings[0].said}\n")
        print(f"slowest: {campaign.slowest[1][:600]}")
        for end, count in sorted(campaign.ends.items()):
            print(f"{count:6d} {end}")
        print(json.dumps(summary(campaign, began)))
    return int(bool(campaign.findings))


if __name__ == "__main__":
    sys.exit(main())
