"""Library calls that would be the answer: told from the code alone, where it can be."""

from course_lib.grading.policy.judging import (
    BROKEN,
    KEPT,
    NOT_DECIDABLE,
    Finding,
    judge_policy,
)

__all__ = ["BROKEN", "KEPT", "NOT_DECIDABLE", "Finding", "judge_policy"]
