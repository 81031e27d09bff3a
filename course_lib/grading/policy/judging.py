"""Is an answer a student's own? Read from the code alone; nothing is run or imported.

"broken": the function, with all that it reaches, uses what the question forbids.
"not decidable": it may, but that cannot be read from the code. "kept": neither.
"""

import ast
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

from course_lib.grading.policy.cells import Unreadable, place
from course_lib.grading.policy.lookup import Lookup
from course_lib.grading.policy.meaning import END, Notebook
from course_lib.grading.policy.reach import Reach
from course_lib.grading.policy.rebinding import rebinding
from course_lib.grading.policy.scopes import Place

KEPT, BROKEN, NOT_DECIDABLE = "kept", "broken", "not decidable"
WHOSE = "So it cannot be told whether the answer is your own."


@dataclass(frozen=True)
class Finding:
    """What is to be said about one answer.

    Attributes:
        verdict: "kept", "broken" or "not decidable"
        message: one or two sentences, empty if kept
    """

    verdict: str
    message: str = ""


def judge_policy(question, cells, failed=frozenset()):
    """Does an answer use a library call that would be the answer?

    Args:
        question: Question, whose `forbidden` names such calls
        cells: sources of the code cells in order, without magics; those that do not
            parse are skipped, as Python does
        failed: indices of cells that raised, or were left out: what they define may be
            in force or not

    Returns:
        Finding; never raises, whatever the cells hold.
    """
    if not question.forbidden:
        return Finding(KEPT)
    cells = tuple(cells)
    try:
        return _judge(question, cells, frozenset(failed))
    except Unreadable as problem:
        reason = str(problem)
    except RecursionError:
        reason = "the code is nested too deeply"
    return Finding(NOT_DECIDABLE, f"{reason[:1].upper()}{reason[1:]}. {WHOSE}")


def _judge(question, cells, failed):
    notebook = _notebook(cells, failed)
    if isinstance(notebook, str):
        raise Unreadable(notebook)
    name, everywhere, steps = question.function, Place(notebook.scope, END, 0), count()
    names = Lookup(notebook, question.forbidden, False, steps)
    meanings, _ = names.lookup(name, everywhere)
    perhaps = {b for b, surely in notebook.meanings(name, END)[0] if not surely}
    perhaps.update(b for b in meanings if isinstance(b.value, ast.Constant))

    def follow(bindings, surely):
        reaches = [Reach(notebook, question.forbidden, surely, steps) for _ in bindings]
        return [r.follow(b) for r, b in zip(reaches, bindings, strict=True)]

    ways = follow([b for b in meanings if b not in perhaps], surely=True)
    if ways and all(way.answer for way in ways):
        return Finding(BROKEN, _broken(ways[0].answer, cells))
    if len(meanings) > 1 or any(way.doubtful for way in ways):
        ways = follow(meanings, surely=False)
    for way in ways:
        if way.answer:
            return Finding(NOT_DECIDABLE, f"{_perhaps(way.answer, cells)} {WHOSE}")
    for met in [*(way.unclear for way in ways), rebinding(notebook) if ways else None]:
        if met:
            return Finding(NOT_DECIDABLE, f"{place(met, cells)} {met.what}. {WHOSE}")
    return Finding(KEPT)


@lru_cache(maxsize=1)  # the questions of one notebook come one after the other
def _notebook(cells, failed):
    """The Notebook; or the reason why there is none, so that it is found once."""
    try:
        return Notebook(cells, failed)
    except Unreadable as problem:
        return str(problem)


def _broken(met, cells):
    verb = "calls" if met.called else "uses"
    return (
        f"{place(met, cells)} {verb} {met.what}, which is what the question asks you "
        "to write. Please write it yourself; you may still compare with the library "
        "in another cell."
    )


def _perhaps(met, cells):
    verb = "call" if met.called else "use"
    return (
        f"{place(met, cells)} may {verb} {met.what}, which is what the question asks "
        "you to write, or may not, as the run decides."
    )
