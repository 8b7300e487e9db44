"""Which ballots are put to a voter, and in which order: random, balanced, the same by seed.

Each question of each pair comes twice, once in each order of its answers. In the first round half
of the questions of a pair have the one point on the left and half the other, so that a round that
is not finished is balanced too; the second round turns each. Each round is shuffled.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from studio.votes.ballots import Ballot


def ballots(
    pairs: Sequence[tuple[str, str]],
    questions: Sequence[Sequence[str]],
    seed: int,
    done: Collection[Ballot] = (),
) -> list[Ballot]:
    """The ballots that are left, in the order in which to put them.

    Args:
        pairs: ids of points.
        questions: of each pair, the ids of those whose answers differ.
        done: those that have a vote.
    """
    random = np.random.default_rng(seed)
    first: list[Ballot] = []
    for pair, asked in zip(pairs, questions, strict=True):
        one, other = sorted(pair)
        # from a sorted list: the same deck whatever the order of tray and rows
        ordered = [sorted(asked)[place] for place in random.permutation(len(asked))]
        start = int(random.integers(2))
        for place, question in enumerate(ordered):
            ballot = Ballot(question, one, other)
            first.append(ballot if (place + start) % 2 else ballot.turned)
    found = [first[place] for place in random.permutation(len(first))]
    second = [found[place].turned for place in random.permutation(len(first))]
    if len(second) > 1 and second[0] == found[-1].turned:
        second.append(second.pop(0))  # the same answers twice in a row would be recognised
    kept = set(done)
    return [each for each in (*found, *second) if each not in kept]
