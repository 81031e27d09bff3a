"""Questions with points: `check` at once, `attention-course grade` later."""

from course_lib.grading.checking import NotYet, check

__all__ = ["NotYet", "check"]
