"""The translation tasks that the course trains on, each with its lengths and budget."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from course_lib.data.digits import DIGITS, reversed_digits
from course_lib.data.number_words import (
    number_lists,
    number_vocabulary,
    single_numbers,
)

BATCH = 64  # pairs in a training step
TESTED = 1000  # pairs, of all lengths together
_TEST_SEED = 2014


@dataclass(frozen=True)
class Task:
    """A task with everything a training run has to know about it.

    Attributes:
        name:         as in the command line and in the names of the results
        sample:       function of n, lengths, split and rng, giving `Pairs`
        vocabularies: function of nothing, giving those of source and target
        trained:      the lengths trained on, shortest and longest
        bins:         the lengths tested, as pairs; the last ones may lie beyond
        budget:       steps of training that the course calls "one budget"
        bits:         information in one more unit of length, log2 of the choices; None
            where length is no amount
    """

    name: str
    sample: Callable
    vocabularies: Callable
    trained: tuple[int, int]
    bins: tuple[tuple[int, int], ...]
    budget: int
    bits: float | None = None

    def batch_at(self, seed, step):
        """The training batch of a step; it depends on nothing else."""
        shortest, longest = self.trained
        lengths = range(shortest, longest + 1)
        return self.sample(BATCH, lengths, "train", np.random.default_rng([seed, step]))

    def test_pairs(self):
        """The same test pairs in every run, every length equally likely."""
        lengths = range(self.bins[0][0], self.bins[-1][1] + 1)
        return self.sample(TESTED, lengths, "test", np.random.default_rng(_TEST_SEED))


def _number_vocabularies(below):
    return number_vocabulary("en", below), number_vocabulary("de", below)


def _dates(n, lengths, split, rng):
    from course_lib.data.dates import dates  # it needs babel, which others do not

    return dates(n, lengths, split, rng)


def _date_vocabularies():
    from course_lib.data.dates import ISO, date_vocabulary

    return date_vocabulary(), ISO


TASKS = {
    task.name: task
    for task in (
        Task(
            name="lists",
            sample=number_lists,
            vocabularies=partial(_number_vocabularies, 1000),
            trained=(1, 4),
            bins=((1, 1), (2, 2), (3, 3), (4, 4), (5, 5)),
            budget=400,
            bits=float(np.log2(1000)),
        ),
        Task(
            name="digits",
            sample=reversed_digits,
            vocabularies=lambda: (DIGITS, DIGITS),
            trained=(1, 16),
            bins=((1, 4), (5, 8), (9, 12), (13, 16), (17, 20)),
            budget=500,
            bits=float(np.log2(10)),
        ),
        Task(
            name="single",
            sample=single_numbers,
            vocabularies=partial(_number_vocabularies, 10**9),
            trained=(3, 9),
            bins=((3, 5), (6, 7), (8, 9)),
            budget=400,
            bits=float(np.log2(10)),
        ),
        Task(
            name="dates",
            sample=_dates,
            vocabularies=_date_vocabularies,
            trained=(1, 4),
            bins=((1, 1), (2, 2), (3, 3), (4, 4)),  # short, medium, long, full
            budget=400,
        ),
    )
}
