"""`check`: what it accepts, what it says, and how it stops a notebook."""

import subprocess
import sys

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from course_lib.grading import NotYet, check
from course_lib.grading.checking import _failures
from course_lib.grading.questions import load


@pytest.fixture(autouse=True)
def no_failures_so_far():
    _failures.clear()


def softmax(scores):
    """Right."""
    return load("2.1").reference(np.asarray(scores))


def no_max_shift(scores):
    """Wrong for large scores."""
    exp = np.exp(scores)
    return exp / exp.sum(axis=-1, keepdims=True)


def refuse(id, function):
    """The one sentence with which a check refuses."""
    with pytest.raises(NotYet) as caught:
        check(id, function)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


def test_a_right_answer_gets_points_and_the_same_text_every_time(capsys):
    for _ in range(2):
        assert check("2.1", softmax) is None
    assert capsys.readouterr().out == "2.1 passed · 2 of 2 points\n" * 2


@pytest.mark.parametrize(
    "function",
    [
        lambda scores: softmax(scores).tolist(),
        lambda scores: softmax(scores).astype(np.float32),
        lambda scores: tuple(softmax(scores)) if scores.ndim > 1 else softmax(scores),
        np.vectorize(softmax, signature="(n)->(n)"),
        lambda scores: [print("noise"), np.log(np.zeros(1)), softmax(scores)][2],
    ],
    ids=["lists", "float32", "tuple of rows", "callable object", "prints and warns"],
)
def test_other_forms_of_a_right_answer_are_accepted(function):
    check("2.1", function)


def test_bool_and_number_are_accepted_where_a_number_is_expected():
    reference = load("2.6").reference
    check("2.6", lambda t, v: (reference(t, v)[0], bool(reference(t, v)[1])))
    check("2.6", lambda t, v: [reference(t, v)[0], float(reference(t, v)[1])])


def test_a_wrong_answer_names_the_property_and_shows_the_numbers(capsys):
    sentence = refuse("2.1", no_max_shift)
    assert sentence == "2.1 is not right yet: scores + 1000 give the same weights."
    shown = capsys.readouterr().out
    for part in (
        "overflows to inf",
        "scores = [[",
        "yours",
        "nan",
        "expected",
        "Hint 1 of 3",
    ):
        assert part in shown
    assert "seed" not in shown


def test_hints_come_one_by_one_and_start_again_after_success(capsys):
    for expected in (1, 2, 3, 3):
        refuse("2.1", no_max_shift)
        assert f"Hint {expected} of 3: {load('2.1').hints[expected - 1]}" in (
            capsys.readouterr().out
        )
    check("2.1", softmax)
    refuse("2.1", no_max_shift)
    assert "Hint 1 of 3" in capsys.readouterr().out


def test_a_stub_is_not_answered_and_costs_no_hint(capsys):
    def softmax(scores):
        raise NotImplementedError("your code here")

    assert refuse("2.1", softmax) == "2.1 is not answered yet."
    assert capsys.readouterr().out == "" and not _failures

    def soft_lookup(query, key, value):
        return softmax(key @ query), None

    assert refuse("2.2", soft_lookup) == (
        "2.2 is not answered yet: `soft_lookup` calls `softmax`, which raises "
        "NotImplementedError."
    )


def test_an_exception_is_shown_with_the_students_own_line(capsys):
    def softmax(scores):
        return np.linalg.inv(scores)  # the line

    refuse("2.1", softmax)
    shown = capsys.readouterr().out
    assert "stopped with LinAlgError" in shown
    assert "The line is `return np.linalg.inv(scores)  # the line`" in shown


def test_leaving_python_does_not_end_the_notebook(capsys):
    refuse("2.1", lambda scores: sys.exit(3))
    assert "stopped with SystemExit: 3" in capsys.readouterr().out


def test_overwriting_an_input_is_named(capsys):
    def soft_lookup(query, key, value):
        answer = load("2.2").reference(query, key, value)
        value *= 0
        return answer

    refuse("2.2", soft_lookup)
    assert "`soft_lookup` overwrites its input `value`" in capsys.readouterr().out


@pytest.mark.parametrize(
    "answer, says",
    [
        (None, "returned None"),
        ("weights", "returned a str that does not hold plain numbers"),
        ([[1], [2, 3]], "returned a list of uneven rows"),
        (1 + 2j, "returned a complex that does not hold plain numbers"),
        (np.zeros((3, 2)), "has shape (3, 2), but it should have shape (2, 3)"),
    ],
)
def test_what_is_no_array_of_the_right_shape_is_named(answer, says, capsys):
    refuse("2.1", lambda scores: answer)
    assert says in capsys.readouterr().out


def test_misuse_is_one_sentence():
    assert "there is no question '2.99'" in refuse("2.99", softmax)
    assert "there is no question 2.1" in refuse(2.1, softmax)
    assert refuse("2.1", np.zeros(3)) == (
        'check needs your function, but got a ndarray: check("2.1", softmax).'
    )
    assert refuse("2.2", softmax) == "softmax is the answer to 2.1, not to 2.2."


def in_ipython(monkeypatch, code):
    """Run code in an IPython shell; what it displays, and its traceback."""
    shell = InteractiveShell()
    shown, tracebacks = [], []
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(
        shell.display_pub, "publish", lambda data, *args, **kw: shown.append(data)
    )
    monkeypatch.setattr(
        shell, "_showtraceback", lambda *args: tracebacks.append(args[2])
    )
    shell.user_ns |= {"check": check, "softmax": softmax, "no_max_shift": no_max_shift}
    monkeypatch.setattr("IPython.display.display", shell_display(shell, shown))
    shell.run_cell(code)
    return shown, tracebacks


def shell_display(shell, shown):
    """A display that formats as IPython's own does."""
    return lambda thing: shown.append(shell.display_formatter.format(thing)[0])


def test_a_notebook_gets_html_and_text_and_a_traceback_of_one_sentence(monkeypatch):
    shown, tracebacks = in_ipython(monkeypatch, 'check("2.1", softmax)')
    assert shown[0]["text/plain"] == "2.1 passed · 2 of 2 points"
    assert "2.1 passed · 2 of 2 points" in shown[0]["text/html"] and not tracebacks

    shown, tracebacks = in_ipython(monkeypatch, 'check("2.1", no_max_shift)')
    assert "Hint 1 of 3" in shown[0]["text/html"]
    sentence = "NotYet: 2.1 is not right yet: scores + 1000 give the same weights."
    assert tracebacks == [[sentence]]


def test_html_is_escaped_and_inherits_its_colours(monkeypatch):
    def softmax(scores):
        raise ValueError("<script>alert(1)</script>")

    monkeypatch.setattr(sys.modules[__name__], "no_max_shift", softmax)
    shown, _ = in_ipython(monkeypatch, 'check("2.1", no_max_shift)')
    html = shown[0]["text/html"]
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert "#" not in html.replace("&#x27;", "") and "rgb" not in html


def test_outside_of_notebooks_the_last_line_is_the_sentence():
    code = "from course_lib.grading import check; check('2.1', lambda s: s)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    assert "NotYet: 2.1 is not right yet: " in run.stderr.splitlines()[-1]
    assert "During handling" not in run.stderr
