"""Every wrong answer is rejected with its own message, every right one accepted."""

from itertools import groupby

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from wrong_answers import answers

from course_lib.grading import NotYet, check
from course_lib.grading.grader import grade
from course_lib.grading.questions import all_questions, load

ANSWERS = answers()
BY_QUESTION = {
    id: list(group) for id, group in groupby(ANSWERS, lambda answer: answer.question)
}
ROUNDS = [
    (chapter, number)
    for chapter in sorted({load(id).chapter for id in BY_QUESTION})
    for number in range(max(len(BY_QUESTION[q.id]) for q in all_questions(chapter)))
]


def assert_judged(answer, passed, message):
    """The message is the answer's own, and no other wrong answer's."""
    others = {a.says for a in BY_QUESTION[answer.question]} - {answer.says, ""}
    assert passed == (not answer.says), message
    assert answer.says.lower() in message.lower()
    assert not [says for says in others if says.lower() in message.lower()]


@pytest.mark.parametrize("question", all_questions(), ids=lambda q: q.id)
def test_three_wrong_answers_and_another_right_one(question):
    says = [answer.says for answer in BY_QUESTION[question.id] if answer.says]
    assert len(set(says)) == len(says) >= 3
    assert len(says) < len(BY_QUESTION[question.id])


@pytest.mark.parametrize(
    "answer", ANSWERS, ids=lambda a: f"{a.question} {a.says or 'right'}"
)
def test_check_judges_each_answer(answer, capsys):
    namespace = {"np": np}
    exec(answer.code, namespace)
    passed = True
    try:
        check(answer.question, namespace[load(answer.question).function])
    except NotYet:
        passed = False
    lines = capsys.readouterr().out.splitlines()
    assert_judged(answer, passed, "" if passed else lines[1])


@pytest.mark.parametrize("chapter, number", ROUNDS)
def test_grade_judges_each_answer(chapter, number, tmp_path):
    groups = {q.id: BY_QUESTION[q.id] for q in all_questions(chapter)}
    tried = {id: group[number % len(group)] for id, group in groups.items()}
    cells = ["import numpy as np", *(answer.code for answer in tried.values())]
    path = tmp_path / "answers.ipynb"
    nbformat.write(new_notebook(cells=list(map(new_code_cell, cells))), path)
    report, trouble = grade(path)
    assert trouble is None and len(report["questions"]) == len(tried)
    for row in report["questions"]:
        passed = row["status"] == "passed"
        assert row["points"] == (row["possible"] if passed else 0)
        assert_judged(tried[row["id"]], passed, row["message"])
