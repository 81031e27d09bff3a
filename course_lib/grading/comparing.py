"""Judge the outcome of one call: the same verdict in `check` and in `grade`."""

from dataclasses import dataclass

import numpy as np

PASSED, WRONG, UNANSWERED, ERROR = "passed", "wrong", "unanswered", "error"


@dataclass(frozen=True)
class Verdict:
    """What is to be said about one call.

    Attributes:
        status: "passed", "wrong", "unanswered" or "error"
        message: one or two sentences, empty if passed
        got, expected: lists of arrays where they help to understand, else empty
    """

    status: str
    message: str = ""
    got: tuple = ()
    expected: tuple = ()


def judge(question, inputs, outcome):
    """Compare the outcome of a call with the reference.

    Args:
        question: Question
        inputs: tuple, the arguments of the call
        outcome: dict, see `course_lib.grading.calling`

    Returns:
        Verdict.
    """
    if "values" in outcome:
        with np.errstate(all="ignore"):
            return _compare(question, inputs, outcome["values"])
    if "unanswered" in outcome:
        return Verdict(UNANSWERED, _unanswered(question, outcome["unanswered"]))
    if "error" in outcome:
        return Verdict(ERROR, _error(outcome["error"]))
    if "changed" in outcome:
        name = argument_names(question)[outcome["changed"]]
        return Verdict(
            WRONG,
            f"`{question.function}` overwrites its input `{name}`, which its "
            "caller may still need: compute a new array (`a = a - b`, not `a -= b`).",
        )
    sentence = outcome["refused"]
    returns = " and ".join(f"`{name}`" for name in question.returns)
    return Verdict(WRONG, f"{sentence[:1].upper()}{sentence[1:]}. Expected: {returns}.")


def argument_names(question):
    """Names of the student's arguments, which are those of the reference."""
    code = question.reference.__code__
    return code.co_varnames[: code.co_argcount]


def expected_values(question, inputs):
    """What the reference returns, as a list of arrays, one for each return value."""
    answer = question.reference(*inputs)
    return [
        np.asarray(part) for part in (answer if len(question.returns) > 1 else [answer])
    ]


def _unanswered(question, raised_in):
    if raised_in in (question.function, "<lambda>"):
        return f"{question.id} is not answered yet."
    return (
        f"{question.id} is not answered yet: `{question.function}` calls "
        f"`{raised_in}`, which raises NotImplementedError."
    )


def _error(error):
    line = f" The line is `{error['line']}`." if error["line"] else ""
    message = f": {error['message']}" if error["message"] else ""
    return f"Your function stopped with {error['type']}{message}.{line}"


def _compare(question, inputs, got):
    expected = expected_values(question, inputs)
    shapes, right_shapes = ([a.shape for a in arrays] for arrays in (got, expected))
    if shapes != right_shapes:
        return Verdict(WRONG, _shape(question.returns, shapes, right_shapes), got)
    limit = _tolerance(question, [*inputs, *got])
    if all(
        np.allclose(a, b, rtol=limit, atol=limit)
        for a, b in zip(got, expected, strict=True)
    ):
        return Verdict(PASSED)
    own = _explanation(question, inputs, got, expected)
    message = own or _difference(question, got, expected)
    return Verdict(WRONG, message[:1].upper() + message[1:], got, expected)


def _explanation(question, inputs, got, expected):
    """The question's own sentence on what went wrong, or None."""
    try:
        return question.explain(inputs, [a.astype(float) for a in got], expected)
    except Exception:  # a slip of ours in a sentence must not cost other verdicts
        return None


def _tolerance(question, arrays):
    dtypes = [getattr(array, "dtype", None) for array in arrays]
    coarse = any(dtype == np.float32 for dtype in dtypes)
    return question.tolerance["float32" if coarse else "float64"]


def _shape(names, shapes, right_shapes):
    if shapes != right_shapes and sorted(shapes) == sorted(right_shapes):
        order = ", ".join(f"`{name}`" for name in names)
        return f"The shapes fit in another order: return {order}."
    pairs = zip(names, shapes, right_shapes, strict=True)
    name, shape, right = next(p for p in pairs if p[1] != p[2])
    return f"`{name}` has shape {shape}, but it should have shape {right}."


def _difference(question, got, expected):
    """The generic sentence: nan, infinity, or the largest difference and its place."""
    for name, array, right in zip(question.returns, got, expected, strict=True):
        where = f"`{name}`"
        if not np.isfinite(array).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            return (
                f"{where} is {array[index]}{_at(index)}: expected {right[index]:.4g}."
            )
        gap = np.abs(array.astype(float) - right)
        if gap.max(initial=0) > question.tolerance["float64"]:
            index = tuple(int(i) for i in np.unravel_index(gap.argmax(), gap.shape))
            return (
                f"{where} is {array[index]:.6g}{_at(index)}, but it should be "
                f"{right[index]:.6g}: the largest difference."
            )
    return "The answer differs from the right one by more than rounding."


def _at(index):
    return f" at {list(index)}" if index else ""
