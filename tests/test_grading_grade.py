"""Grading a notebook: what a report says, and how answers cross into it.

What hostile, damaged and odd notebooks deserve is in `test_grading_hostile.py`.
"""

import json
import pickle
from dataclasses import replace
from itertools import product
from pathlib import Path
from warnings import catch_warnings, simplefilter

import numpy as np
import pytest
from hostile import IMPORT, LOOKUP, SOFTMAX, WRONG, code_cell
from hostile.edited import marked, notebook

from course_lib.grading import calling, signing
from course_lib.grading.calling import Refused, decode, encode
from course_lib.grading.comparing import expected_values, judge
from course_lib.grading.grader import Limits, Options, grade, grade_content
from course_lib.grading.hand_in import HandIn
from course_lib.grading.magics import MAGIC_LINE, without_magics
from course_lib.grading.questions import all_questions, load
from course_lib.grading.submission import outcome
from course_lib.grading.workers import close_spare

LIMITS = Limits(cell=10, call=10)
ROOT = Path(__file__).parents[1]
ANN, BEN = (HandIn(name, "", f"{name}.ipynb", Path("x")) for name in ("ann", "ben"))


@pytest.fixture(scope="module", autouse=True)
def no_spare_is_left():
    yield
    close_spare()


def graded(*cells, hand_in=ANN, seed=7):
    """The report on a notebook of code cells."""
    content = notebook(*map(code_cell, (IMPORT, *cells)))
    return grade_content(hand_in, content, Options(seed, LIMITS))


def row(report, question="2.1"):
    (found,) = (row for row in report["questions"] if row["id"] == question)
    return found


def test_a_report_has_exactly_the_fields_of_schema_1():
    report = graded(SOFTMAX)
    assert list(report) == [
        *("schema", "submission_sha256", "sandbox", "of_record", "points", "possible"),
        *("questions", "student", "student_id", "file", "trouble", "grader"),
        *("seed_id", "signature"),
    ]
    for each in report["questions"]:
        assert list(each) == [
            *("id", "points", "possible", "status", "message", "property"),
            *("policy", "policy_message"),
        ]
    assert report["of_record"] == (report["sandbox"] in ("bubblewrap", "namespaces"))
    assert (report["points"], report["possible"], report["trouble"]) == (2, 16, "")
    assert len(report["submission_sha256"]) == len(report["signature"]) == 64
    assert signing.is_signed(report, 7) and report["seed_id"] == signing.seed_id(7)
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize("chapter", sorted((ROOT / "solutions").glob("*.ipynb")))
def test_the_solutions_get_all_points(chapter):
    report, trouble = grade(chapter, 7)
    assert trouble is None and report["points"] == report["possible"] > 0
    assert report["student"] == chapter.stem and report["file"] == chapter.name
    assert {each["policy"] for each in report["questions"]} == {"kept"}


def test_the_exercises_as_they_are_handed_out_get_none():
    report, _ = grade(ROOT / "exercises" / "02_query_key_value.ipynb", 7)
    assert {each["status"] for each in report["questions"]} == {"unanswered"}
    assert report["possible"] == 16


def test_the_same_seed_and_student_give_the_same_bytes_and_others_other_numbers():
    one, two = (json.dumps(graded(WRONG, LOOKUP)) for _ in range(2))
    assert one == two
    told = row(json.loads(one))["message"]
    assert row(graded(WRONG, LOOKUP, seed=8))["message"] != told
    assert row(graded(WRONG, LOOKUP, hand_in=BEN))["message"] != told


def test_work_and_report_can_be_sent_to_another_process():
    work = ANN, notebook(code_cell(IMPORT + SOFTMAX)), Options(7, LIMITS)
    report = grade_content(*pickle.loads(pickle.dumps(work)))
    assert pickle.loads(pickle.dumps(report)) == grade_content(*work)


def test_a_verdict_names_the_property_of_the_case_that_failed():
    wrong = row(graded(WRONG))
    assert wrong["property"] == load("2.1").cases[0].property
    late = SOFTMAX.replace("softmax", "right") + (
        "def softmax(scores):\n    return scores if scores.ndim == 1 else right(scores)"
    )
    assert row(graded(late))["property"] == load("2.1").cases[1].property
    assert row(graded(SOFTMAX))["property"] == ""
    assert row(graded(LOOKUP))["property"] == ""


def test_a_library_call_that_is_the_answer_is_refused():
    refused = row(graded("from course_lib.in_numpy import softmax"))
    assert (refused["status"], refused["policy"]) == ("refused", "broken")
    assert "`from course_lib.in_numpy import softmax`" in refused["message"]
    assert refused["policy_message"] == refused["message"]


def test_a_library_call_that_cannot_be_told_is_said_to_be_so():
    hidden = (
        "import importlib, sys\n"
        "module = importlib.import_module(''.join(reversed('ypmun_ni.bil_esruoc')))\n"
        "softmax = getattr(module, ''.join(reversed('xamtfos')))"
    )
    told = row(graded(hidden))
    assert (told["status"], told["policy"]) == ("passed", "not decidable")
    assert told["policy_message"] != "" and told["message"] == ""


def test_the_rest_of_the_library_may_be_used():
    compared = (
        "from course_lib.in_numpy import causal_mask, masked_softmax as theirs\n"
        "from course_lib.data import dates\n"
        "assert np.allclose(softmax(np.zeros((1, 2))), theirs(np.zeros((1, 2)), True))"
    )
    report = graded(SOFTMAX, compared, LOOKUP)
    assert row(report)["status"] == row(report, "2.2")["status"] == "passed"


def test_a_file_that_cannot_be_read_gets_its_sentence_and_no_points(tmp_path):
    report, trouble = grade(tmp_path / "02_missing.ipynb", 7)
    assert trouble == report["trouble"] == "there is no file 02_missing.ipynb"
    assert (report["points"], report["possible"]) == (0, 16)
    assert {each["status"] for each in report["questions"]} == {"unreadable"}
    assert row(report)["message"] == f"{trouble}."
    report, _ = grade(tmp_path / "missing.ipynb", 7)
    assert (report["questions"], report["possible"]) == ([], 0)


CHAPTERS = {
    "by its ids": ([marked("", "1.2")], "x.ipynb", {1}),
    "by the ids of its text": ([marked("", "1.2", "text")], "02_x.ipynb", {1}),
    "by its functions": ([code_cell("def encode(): 1")], "02_x.ipynb", {1}),
    "by most of its functions": (
        [code_cell("def encode(): 1\ndef softmax(): 1\ndef soft_lookup(): 1")],
        "01_x.ipynb",
        {2},
    ),
    "by its name": ([code_cell("pass")], "folder/02_x.ipynb", {2}),
    "by nothing": ([code_cell("pass")], "x02_.ipynb", set()),
    "of two chapters": ([marked("", "1.2"), marked("", "2.1")], "x.ipynb", {1, 2}),
}


@pytest.mark.parametrize("cells, name, chapters", CHAPTERS.values(), ids=CHAPTERS)
def test_a_notebook_is_graded_on_whole_chapters(cells, name, chapters):
    hand_in = HandIn("ann", "", name, Path("x"))
    report = grade_content(hand_in, notebook(*cells), Options(7, LIMITS))
    expected = [q for q in all_questions() if q.chapter in chapters]
    assert [each["id"] for each in report["questions"]] == [q.id for q in expected]
    assert report["possible"] == sum(question.points for question in expected)


ODD = {
    "nan": lambda right, rng: np.full(right.shape, np.nan),
    "infinite": lambda right, rng: np.full(right.shape, -np.inf),
    "a mixture": lambda right, rng: rng.choice(
        [np.nan, np.inf, -np.inf, 0, 1, 1e308, 5e-324], right.shape
    ),
    "zero": lambda right, rng: np.zeros(right.shape),
    "huge": lambda right, rng: np.full(right.shape, 1.7e308),
    "the least integer": lambda right, rng: np.full(right.shape, -(2**63)),
    "truth": lambda right, rng: rng.random(right.shape) < 0.5,
    "negative": lambda right, rng: -right.astype(float),
    "shuffled": lambda right, rng: rng.permutation(right.ravel()).reshape(right.shape),
    "coarse": lambda right, rng: right.astype("float16"),
    "nearly right": lambda right, rng: right + 1e-3,
}


@pytest.mark.parametrize("question", all_questions(), ids=lambda question: question.id)
def test_whatever_is_returned_is_explained_in_a_sentence(question):
    rng = np.random.default_rng(0)
    generic = replace(question, explain=lambda *_: None)
    for case, make in product(question.cases, ODD.values()):
        inputs = case.inputs(rng)
        right = expected_values(question, inputs)
        for which in range(len(right)):
            got = [*right[:which], make(right[which], rng), *right[which + 1 :]]
            sent = json.loads(json.dumps({"values": list(map(encode, got))}))
            received = outcome(sent, question)
            verdict = judge(question, inputs, received)
            if verdict.status == "passed":
                continue
            assert verdict.message.isprintable() and verdict.message[-1] in ".)"
            assert judge(generic, inputs, received).message[-1] == "."
            with np.errstate(all="ignore"):  # it must not fail unnoticed
                question.explain(inputs, [a.astype(float) for a in got], right)


def test_an_explanation_that_fails_costs_no_verdict():
    broken = replace(load("2.1"), explain=lambda *_: 1 / 0)
    inputs = (np.zeros((2, 3)),)
    verdict = judge(broken, inputs, {"values": [np.ones((2, 3))]})
    assert verdict.status == "wrong" and "the largest difference" in verdict.message


@pytest.mark.parametrize(
    "line",
    ["a" + "?" * 10**6 + " " * 10**6 + "b", " " * 10**6 + "$", "a , " * 10**5 + "$"],
    ids=["help", "blanks", "names"],
)
def test_what_might_be_a_magic_is_told_from_it_in_one_look(line):
    # Quadratic time would be hours: the test would not end.
    assert MAGIC_LINE.match(line) is None


def test_magics_are_dropped_and_lines_keep_their_numbers():
    cell = "%a\n!b\nc = %d\ne.f, g = !h\ni?\n  j??\nif k:\n    !l\nm = n"
    assert without_magics(cell).split("\n") == [
        *(
            "pass",
            "pass",
            "pass",
            "pass",
            "pass",
            "  pass",
            "if k:",
            "    pass",
            "m = n",
        )
    ]
    assert without_magics("%%time x\n1") == "\n1" and without_magics("%%sh\n1") == ""
    assert without_magics("a %b\n") == "a %b\n"
    with catch_warnings(record=True) as warned:
        simplefilter("always")
        assert without_magics("'\\d'") == "'\\d'"
    assert warned == []


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint64", "float16", ">f4", "float64"]
)
def test_arrays_survive_the_crossing(dtype):
    for shape in ((), (0, 3), (2, 3, 5)):
        array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        message = json.loads(json.dumps(encode(array)))
        np.testing.assert_array_equal(decode(message), array)


GOOD = {"dtype": "<f8", "shape": [1], "data": "AAAAAAAAAAA="}


@pytest.mark.parametrize(
    "message",
    [
        None,
        [GOOD],
        {"dtype": "<f8", "shape": [1]},
        GOOD | {"extra": 1},
        GOOD | {"dtype": "|O"},
        GOOD | {"dtype": "<c16"},
        GOOD | {"dtype": ["<f8"]},
        GOOD | {"dtype": "<f8,<f8"},
        GOOD | {"shape": [-1]},
        GOOD | {"shape": [True]},
        GOOD | {"shape": [1.0]},
        GOOD | {"shape": [2]},
        GOOD | {"shape": "1"},
        GOOD | {"shape": [1] * 40},
        GOOD | {"shape": [10**30, 0, 10**30]},
        GOOD | {"shape": [10**9]},
        GOOD | {"data": b""},
        GOOD | {"data": "A" * 10**7},
    ],
)
def test_what_is_no_plain_array_is_refused_before_it_is_unpacked(message, monkeypatch):
    assert decode(GOOD).tolist() == [0]
    monkeypatch.setattr(calling, "b64decode", lambda *a, **k: pytest.fail("unpacked"))
    with pytest.raises(Refused):
        decode(message)


@pytest.mark.parametrize("data", ["AAAAAAAAAA!=", "AAAAAAAAA\ud800A=", "A=AAAAAAAAAA"])
def test_what_is_no_base64_is_refused(data):
    with pytest.raises(Refused):
        decode(GOOD | {"data": data})


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"values": 3},
        {"values": []},
        {"values": [GOOD, GOOD]},
        {"values": [[]]},
        {"changed": 99},
        {"changed": "0"},
        {"changed": None},
        {"refused": {"a": 1}},
    ],
)
def test_replies_that_are_no_outcome_are_refused(reply):
    assert list(outcome(reply, load("2.1"))) == ["refused"]


def test_text_from_the_worker_is_short_and_printable():
    reply = {"error": {"type": "E\x1b[2J\n", "message": "\ud800" * 9999, "line": []}}
    error = outcome(reply, load("2.1"))["error"]
    assert error["type"] == "E [2J" and error["line"] == ""
    assert len(error["message"]) <= 300 and error["message"].isprintable()
    assert outcome({"error": 3}, load("2.1"))["error"]["type"] == ""
