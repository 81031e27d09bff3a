"""`check`: is the answer right? At once, in the notebook's own process.

Pure Python on NumPy, so that it also runs in a browser.
"""

import sys
from collections import Counter

import numpy as np

from course_lib.grading.calling import call
from course_lib.grading.comparing import PASSED, UNANSWERED, judge
from course_lib.grading.feedback import NotRight, Passed
from course_lib.grading.questions import UnknownQuestion, all_questions, load

_failures = Counter()  # question id -> failed checks in this session, for the hints


class NotYet(Exception):
    """The answer is not right yet; shown as its one sentence, without a traceback."""

    def _render_traceback_(self):
        """What IPython shows in place of a traceback."""
        return [f"NotYet: {self}"]


def check(question_id, function):
    """Try a function on fresh inputs; show what is wrong, with a hint, or the points.

    Args:
        question_id: "2.1", say
        function: the answer

    Raises:
        NotYet, with one sentence, unless the answer passes every visible case.
    """
    question = _find(question_id, function)
    rng = np.random.default_rng()
    for case in question.cases:
        if case.hidden:
            continue
        inputs = case.inputs(rng)
        verdict = judge(question, inputs, call(function, inputs, len(question.returns)))
        if verdict.status == UNANSWERED:
            raise NotYet(verdict.message)
        if verdict.status != PASSED:
            hint = min(_failures[question.id], len(question.hints) - 1)
            _failures[question.id] += 1
            _show(NotRight(question, case, inputs, verdict, hint))
            raise NotYet(f"{question.id} is not right yet: {case.property}.")
    del _failures[question.id]
    _show(Passed(question))


def _find(question_id, function):
    """The question, if there is one and `function` can be an answer to it."""
    try:
        question = load(question_id)
    except UnknownQuestion as unknown:
        raise NotYet(f"{unknown}.") from None
    usage = f'check("{question.id}", {question.function})'
    if not callable(function):
        kind = type(function).__name__
        raise NotYet(f"check needs your function, but got a {kind}: {usage}.")
    name = getattr(function, "__name__", "")
    others = {q.function: q.id for q in all_questions() if q.id != question.id}
    if name != question.function and name in others:
        raise NotYet(f"{name} is the answer to {others[name]}, not to {question.id}.")
    return question


def _show(feedback):
    """Display in a notebook, print elsewhere."""
    ipython = sys.modules.get("IPython")
    if ipython and ipython.get_ipython():
        ipython.display.display(feedback)
    else:
        print(feedback)
