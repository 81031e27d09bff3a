"""What a notebook imports as `course_lib.grading` while it is graded.

The worker gets this file in place of the real package, which holds the answers.
"""


class NotYet(Exception):
    """As in the real package; never raised here."""


def check(question_id, function):
    """Do nothing: the grader asks its own questions."""
