"""The one description of a question: prose, hints, points, cases, reference."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from numpy.random import Generator


def _tolerance():
    return {"float32": 1e-4, "float64": 1e-8}


@dataclass(frozen=True)
class Case:
    """A family of inputs that tests one property.

    Attributes:
        property: the property in a few words, "rows sum to 1 over the last axis"
        inputs: from a generator, the arguments of one call: arrays and Python numbers
        hidden: True if only `grade` tries it
    """

    property: str
    inputs: Callable[[Generator], tuple]
    hidden: bool = False


@dataclass(frozen=True)
class Question:
    """Everything the course knows about one question.

    Attributes:
        id: "2.1", chapter and number
        title: a few words
        function: name of the function to write
        returns: names of what it returns, one array or number each
        minutes, points: ints
        task: what to write, Markdown
        predict: what to predict first, Markdown
        hints: three, from a nudge to almost the line
        reference: right answer; its argument names are the student's
        cases: families of inputs, easy ones first
        explain: (inputs, got, expected) -> a sentence naming the mistake, or None.
            `got` and `expected` are lists of arrays of equal shapes, one a return.
        forbidden: dotted names of library functions, classes, methods and modules that
            would be the answer; () if no library has it
        tolerance: largest relative and absolute difference, by the name of the coarser
            dtype among inputs and answer
    """

    id: str
    title: str
    function: str
    returns: tuple[str, ...]
    minutes: int
    points: int
    task: str
    predict: str
    hints: tuple[str, str, str]
    reference: Callable
    cases: tuple[Case, ...]
    explain: Callable[[tuple, list, list], str | None]
    forbidden: tuple[str, ...] = ()
    tolerance: Mapping[str, float] = field(default_factory=_tolerance)

    @property
    def chapter(self):
        """Number of the chapter, an int."""
        return int(self.id.partition(".")[0])

    @property
    def grade_id(self):
        """The question's id in nbgrader's metadata, where dots are not allowed."""
        return "q" + self.id.replace(".", "-")


def prose(question):
    """The question as Markdown: task, prediction, hints that open one by one."""
    minutes, points = _count(question.minutes, "min"), _count(question.points, "point")
    heading = f"## Exercise {question.id}: {question.title} ({minutes}, {points})"
    parts = [heading, question.task, f"*Predict first:* {question.predict}"]
    for number, hint in enumerate(question.hints, start=1):
        # The blank lines end the HTML, so that what is between is Markdown again.
        parts += [f"<details>\n<summary>Hint {number}</summary>", hint]
    parts += ["</details>"] * len(question.hints)
    return "\n\n".join(parts)


def _count(number, unit):
    return (
        f"{number} {unit}s" if unit == "point" and number != 1 else f"{number} {unit}"
    )


def grade_metadata(question, role):
    """nbgrader's metadata (version 3) of one cell of a question.

    Args:
        question: Question
        role: "text", "answer" or "check"

    Returns:
        {"nbgrader": {...}}, to update the cell's metadata with.
    """
    suffix = {"text": "-text", "answer": "-answer", "check": ""}[role]
    metadata = {
        "grade": role == "check",
        "grade_id": question.grade_id + suffix,
        "locked": role != "answer",
        "schema_version": 3,
        "solution": role == "answer",
        "task": False,
    }
    if role == "check":
        metadata["points"] = question.points
    return {"nbgrader": metadata}
