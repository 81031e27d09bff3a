"""What `check` shows: HTML in a notebook, text elsewhere. No colours of its own."""

import html
import re
from dataclasses import dataclass

import numpy as np

from course_lib.grading.comparing import Verdict, argument_names
from course_lib.grading.question import Case, Question

MOST_SHOWN = 36  # entries of an array that are printed


@dataclass(frozen=True)
class Passed:
    """All visible cases are right. Always the same text, so stored output compares."""

    question: Question

    def __repr__(self):
        points = self.question.points
        unit = "point" if points == 1 else "points"
        return f"{self.question.id} passed · {points} of {points} {unit}"

    def _repr_html_(self):
        return _box(f"<p><strong>✓ {html.escape(repr(self))}</strong></p>")


@dataclass(frozen=True)
class NotRight:
    """One case is wrong: which property, what was seen, and the next hint."""

    question: Question
    case: Case
    inputs: tuple
    verdict: Verdict
    hint: int

    @property
    def _head(self):
        return f"{self.question.id} not yet: {self.case.property}"

    @property
    def _hint(self):
        hints = self.question.hints
        return f"Hint {self.hint + 1} of {len(hints)}: {hints[self.hint]}"

    def _example(self):
        """The arrays of the failed call, as lines of text."""
        names = argument_names(self.question)
        groups = [("with", names, self.inputs)]
        groups.append(("yours", self.question.returns, self.verdict.got))
        groups.append(("expected", self.question.returns, self.verdict.expected))
        rows = [
            (f"{label}: {name} = ", array)
            for label, names, arrays in groups
            for name, array in zip(names, arrays, strict=False)
        ]
        return "\n".join(start + _shown(array, len(start)) for start, array in rows)

    def __repr__(self):
        return "\n".join(
            [self._head, self.verdict.message, self._example(), self._hint]
        )

    def _repr_html_(self):
        return _box(
            f"<p><strong>✗ {_inline(self._head)}</strong></p>"
            f"<p>{_inline(self.verdict.message)}</p>"
            f'<pre style="white-space: pre-wrap">{html.escape(self._example())}</pre>'
            f"<p>{_inline(self._hint)}</p>"
        )


def _shown(array, indent):
    array = np.asarray(array)
    if array.size > MOST_SHOWN:
        return f"{array.dtype} array of shape {array.shape}"
    return np.array2string(array, precision=4, prefix=" " * indent)


def _inline(text):
    """Escaped text in which `code` is set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _box(content):
    style = "border-left: 0.25em solid currentColor; padding-left: 1em; color: inherit"
    return f'<div style="{style}">{content}</div>'
