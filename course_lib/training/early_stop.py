"""When to end a run before its last step: it is good enough, or better no more."""

from collections.abc import Callable
from dataclasses import dataclass

from course_lib.shapes.basic import check_count


@dataclass(frozen=True)
class EarlyStop:
    """A measure of the model, looked at every so many steps, and when that is enough.

    Attributes:
        measure:   function of a model, giving a number; larger is better
        every:     int >= 1, the steps between two looks
        threshold: number. The run ends when a look reaches it. None = never.
        patience:  int >= 1. The run ends when that many looks in a row were no better
            than the best before them. None = never.
    """

    measure: Callable
    every: int
    threshold: float | None = None
    patience: int | None = None

    def __post_init__(self):
        check_count("every", self.every)
        if self.patience is not None:
            check_count("patience", self.patience)

    def is_due(self, n_steps, measured):
        """Whether the next look is due after so many steps and these looks."""
        return n_steps // self.every > len(measured)

    def is_enough(self, measured):
        """Whether a run with these looks, the first one first, has ended."""
        if not measured:
            return False
        if self.threshold is not None and measured[-1] >= self.threshold:
            return True
        best = measured.index(max(measured))
        return self.patience is not None and len(measured) - 1 - best >= self.patience
