"""Where the questions are: one module a chapter, found by its name."""

import pkgutil
from functools import cache
from importlib import import_module


class UnknownQuestion(LookupError):
    """There is no such question; the message is one sentence."""


def load(question_id):
    """The Question called `question_id`, "2.1" say (or UnknownQuestion)."""
    found = {question.id: question for question in all_questions()}
    if question_id not in found:
        known = ", ".join(found)
        raise UnknownQuestion(
            f"there is no question {question_id!r}: there are {known}"
        )
    return found[question_id]


def all_questions(chapter=None):
    """Every question in order, or those of one chapter (an int)."""
    questions = [question for module in _modules() for question in module.QUESTIONS]
    return [q for q in questions if chapter in (None, q.chapter)]


@cache
def _modules():
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [import_module(f"{__name__}.{name}") for name in names]
