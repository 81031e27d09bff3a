"""The questions: complete, consistent, rendered for readers and for nbgrader."""

import subprocess
import sys

import numpy as np
import pytest
from docutils.core import publish_doctree
from docutils.nodes import raw
from myst_parser.docutils_ import Parser
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.nbgraderformat import MetadataValidator

from course_lib.grading.comparing import argument_names, judge
from course_lib.grading.question import grade_metadata, prose
from course_lib.grading.questions import UnknownQuestion, all_questions, load

QUESTIONS = all_questions()
each_question = pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.id)


def values(question, inputs):
    """What the reference returns, as an outcome."""
    answer = question.reference(*inputs)
    parts = answer if len(question.returns) > 1 else [answer]
    return {"values": [np.array(part) for part in parts]}


def test_ids_functions_and_grade_ids_are_unique():
    for attribute in ("id", "function", "grade_id"):
        found = [getattr(question, attribute) for question in QUESTIONS]
        assert len(found) == len(set(found))


@pytest.mark.parametrize("chapter", [1, 2])
def test_chapter_has_six_questions(chapter):
    ids = [q.id for q in all_questions(chapter)]
    assert ids == [f"{chapter}.{n}" for n in range(1, 7)]


@each_question
def test_question_is_complete(question):
    assert question.title and question.task and question.predict
    assert len(question.hints) == 3 and all(question.hints)
    assert question.minutes > 0 and question.points > 0
    hidden = [case.hidden for case in question.cases]
    assert any(hidden) and not all(hidden)
    properties = [case.property for case in question.cases]
    assert len(properties) == len(set(properties))


@each_question
def test_cases_use_single_and_double_precision_and_several_sizes(question):
    rng = np.random.default_rng(2)
    inputs = [case.inputs(rng) for case in question.cases]
    kind = "int" if np.issubdtype(inputs[0][0].dtype, np.integer) else "float"
    assert {f"{kind}32", f"{kind}64"} <= {str(i[0].dtype) for i in inputs}
    assert len({tuple(map(np.shape, i)) for i in inputs}) >= 3


@each_question
def test_reference_passes_its_own_cases_and_changes_no_input(question):
    rng = np.random.default_rng(3)
    for case in question.cases:
        for _ in range(5):
            inputs = case.inputs(rng)
            assert len(inputs) == len(argument_names(question))
            copies = [np.copy(argument) for argument in inputs]
            assert judge(question, inputs, values(question, inputs)).status == "passed"
            for argument, copy in zip(inputs, copies, strict=True):
                np.testing.assert_array_equal(argument, copy)


@each_question
def test_inputs_are_decided_by_the_generator_and_fresh_without_one(question):
    for case in question.cases:
        one, two, other = (case.inputs(np.random.default_rng(s)) for s in (5, 5, 7))
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
        if np.size(one[0]) > 1:
            assert any(
                not np.array_equal(a, b) for a, b in zip(one, other, strict=True)
            )


@each_question
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e308, 0, -1])
def test_whatever_number_comes_back_gets_a_sentence(question, poison):
    rng = np.random.default_rng(11)
    for case in question.cases:
        inputs = case.inputs(rng)
        for everywhere in (False, True):
            got = [array.astype(float) for array in values(question, inputs)["values"]]
            for array in got:
                array[... if everywhere else (0,) * array.ndim] = poison
            verdict = judge(question, inputs, {"values": got})
            if verdict.status != "passed":  # 0 is right here and there
                assert verdict.message[0].isprintable() and verdict.message[-1] in ".)"


def test_unknown_id_is_one_sentence_that_lists_the_known_ones():
    with pytest.raises(UnknownQuestion) as caught:
        load("2.99")
    assert str(caught.value).startswith(
        "there is no question '2.99': there are 1.1, 1.2"
    )


@each_question
def test_prose_has_task_prediction_and_three_nested_hints(question):
    text = prose(question)
    heading = text.splitlines()[0]
    assert heading == (
        f"## Exercise {question.id}: {question.title} "
        f"({question.minutes} min, {question.points} points)"
    )
    assert question.task in text and f"*Predict first:* {question.predict}" in text
    ends = text.split("<details>\n<summary>Hint ")
    assert [end[0] for end in ends[1:]] == ["1", "2", "3"]
    assert text.endswith("</details>\n\n</details>\n\n</details>")


@each_question
def test_prose_is_read_by_myst_without_a_warning(question):
    document = publish_doctree(
        "# Title\n\n## Section\n\n" + prose(question),
        parser=Parser(),
        settings_overrides={
            "myst_enable_extensions": ["dollarmath", "colon_fence"],
            "halt_level": 2,
        },
    )
    html = [node.astext().strip() for node in document.findall(raw)]
    opened = [f"<details>\n<summary>Hint {n}</summary>" for n in (1, 2, 3)]
    assert html == [*opened, *["</details>"] * 3]


def test_nbgrader_accepts_the_metadata():
    notebook = new_notebook()
    for question in QUESTIONS:
        text = new_markdown_cell(prose(question))
        text.metadata.update(grade_metadata(question, "text"))
        answer, check = new_code_cell("pass"), new_code_cell("pass")
        answer.metadata.update(grade_metadata(question, "answer"))
        check.metadata.update(grade_metadata(question, "check"))
        notebook.cells += [text, answer, check]
    MetadataValidator().validate_nb(notebook)
    found = [cell.metadata.nbgrader for cell in notebook.cells[:3]]
    assert [f.grade_id for f in found] == ["q1-1-text", "q1-1-answer", "q1-1"]
    assert [f.locked for f in found] == [True, False, True]
    assert [f.solution for f in found] == [False, True, False]
    assert [f.grade for f in found] == [False, False, True]
    assert found[2].points == load("1.1").points


def test_check_needs_only_numpy():
    heavy = {"torch", "matplotlib", "IPython", "click", "rich"}
    code = f"""
import sys, course_lib
assert "numpy" not in sys.modules
from course_lib.grading import check, questions
questions.load("2.1")
assert not {heavy} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
