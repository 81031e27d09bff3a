"""What a function returns in place of an array of numbers, or as odd ones."""

from hostile import Case, softmax

NO_NUMBERS = "does not hold plain numbers"
NO_SHAPE, SUMS = "should have shape (2, 3)", "over the last axis instead of 1"
RETURNED = {
    "None": ("None", "it returned None|It returned None"),
    "nan": ("np.full(scores.shape, np.nan)", "nan"),
    "infinity": ("np.full(scores.shape, np.inf)", "inf"),
    "negative zeros": ("-np.zeros(scores.shape)", SUMS),
    "complex numbers": ("scores.astype(complex)", NO_NUMBERS),
    "objects": ("scores.astype(object)", NO_NUMBERS),
    "objects without numbers": ("np.array([object()] * 6)", NO_NUMBERS),
    "records": ("scores.astype([('a', float), ('b', float)])", NO_NUMBERS),
    "dates": ("np.full(scores.shape, '2026-01-01', 'datetime64[D]')", NO_NUMBERS),
    "times": ("np.ones(scores.shape, 'timedelta64[s]')", NO_NUMBERS),
    "strings": ("scores.astype(str)", NO_NUMBERS),
    "bytes": ("scores.tobytes()", NO_NUMBERS),
    "raw memory": ("scores.view('V8')", NO_NUMBERS),
    "integers without bounds": ("[[10**400] * 3] * 2", NO_NUMBERS),
    "a generator": ("(row for row in scores)", NO_NUMBERS),
    "a set": ("set(scores.ravel())", NO_NUMBERS),
    "a dictionary": ("dict(enumerate(scores))", NO_NUMBERS),
    "a function": ("softmax", NO_NUMBERS),
    "an ellipsis": ("...", NO_NUMBERS),
    "uneven rows": ("[[1, 2, 3], [4]]", "uneven rows"),
    "a list in itself": ("(rows := [], rows.append(rows), rows)[2]",
                         "uneven rows|" + NO_NUMBERS),
    "no elements": ("np.zeros((2, 0, 3))", NO_SHAPE),
    "a number": ("1.0", NO_SHAPE),
    "too many axes": ("scores.reshape((1,) * 20 + scores.shape)",
                      "impossible shape"),
    "eighty gigabytes that are one number": (
        "np.broadcast_to(0.0, (10**5, 10**5))", "more than 4,194,304 bytes"),
    "a hundred megabytes": ("np.zeros(10**8, 'i1')", "more than 4,194,304 bytes"),
    "half precision": (
        "(lambda e: (e / e.sum(-1, keepdims=True)).astype('float16'))"
        "(np.exp(scores - scores.max(-1, keepdims=True)))", "eights"),
    "whole numbers": ("(scores > 0).astype('uint8')", SUMS),
}  # fmt: skip

CASES = [
    Case(
        f"it returns {name}",
        (softmax(f"return {value}"),),
        "wrong",
        says,
    )
    for name, (value, says) in RETURNED.items()
]
