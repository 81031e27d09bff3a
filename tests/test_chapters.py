"""What a chapter writes out as its lesson is what the library does."""

import re

import numpy as np

from course_lib import in_numpy
from tools import notebooks


def chapter(number):
    """{name: cell source} of the functions that a chapter writes out."""
    (source,) = notebooks.ROOT.glob(f"chapters/{number:02}_*.py")
    cells = [c.source for c in notebooks.compose(source).cells if c.cell_type == "code"]
    return {
        m[1]: cell for cell in cells for m in re.finditer(r"^def (\w+)", cell, re.M)
    }


def define(number, name):
    """The function `name` as chapter `number` writes it out, NumPy at hand."""
    body = re.split(r"\n(?=\S)", chapter(number)[name])
    namespace = {"np": np}
    for part in body:
        if part.startswith("def "):
            exec(part, namespace)
    return namespace[name]


def test_chapter_1_gru_cell_is_the_library_s():
    rng = np.random.default_rng(0)
    shapes = (2, 7), (2, 5), (15, 7), (15, 5), (15,), (15,)  # x, state, weights
    arguments = [rng.standard_normal(shape) for shape in shapes]
    ours, library = define(1, "gru_cell")(*arguments), in_numpy.gru_cell(*arguments)
    assert np.allclose(ours, library, rtol=0, atol=1e-12)


def test_chapter_2_softmax_is_the_library_s():
    scores = np.random.default_rng(0).standard_normal((3, 5)) + 1000
    assert np.array_equal(define(2, "softmax")(scores), in_numpy.softmax(scores))


def test_chapter_2_backward_is_the_library_s():
    rng = np.random.default_rng(0)
    query, key = rng.standard_normal((3, 2)), rng.standard_normal((5, 2))
    value, d_output = rng.standard_normal((5, 7)), rng.standard_normal((3, 7))
    _, weights = in_numpy.scaled_dot_product_attention(query, key, value)
    arguments = d_output, query, key, value, weights
    ours = define(2, "attention_backward")(*arguments)
    library = in_numpy.scaled_dot_product_attention_backward(*arguments)
    for mine, theirs in zip(ours, library, strict=True):
        assert np.allclose(mine, theirs, rtol=0, atol=1e-12)
