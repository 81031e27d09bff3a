"""The documentation of Python's standard library as text to learn from.

It is committed, so it is the same on every Python: `tools/documentation.py` made it
from Python 3.13.0. The licence is beside it, in `python_documentation/`.
"""

import gzip
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files

import numpy as np

from course_lib.data.splits import check_split
from course_lib.data.vocabulary import Vocabulary
from course_lib.shapes.basic import check_count, check_integers

CHARACTERS = Vocabulary(["\n", *map(chr, range(ord(" "), ord("~") + 1))])
_SHA256 = {
    "train": "6ffa373424a861219470737ecd0a27c64a3c1806b77e6081a84656aa00a03dd6",
    "test": "b577dabae2fc72f953d565cb4a74ace2407cc9c7a471ecb1f16a773897d9da91",
}


@lru_cache
def documentation(split):
    """The text of one split: plain ASCII, an empty line between paragraphs.

    No document (a module, or a topic of `help()`) is in both splits, and no 50
    characters of the test text stand anywhere in the training text.

    Args:
        split: "train" (1.1 million characters) or "test" (0.12 million)
    """
    check_split(split)
    path = files(__package__) / "python_documentation" / f"{split}.txt.gz"
    text = gzip.decompress(path.read_bytes())
    if sha256(text).hexdigest() != _SHA256[split]:
        raise ValueError(f"{path.name} is not the text that it was: install anew")
    return text.decode("ascii")


def sample_windows(ids, n_batch, n, rng):
    """Pieces of a long text, each from a random place.

    A language model reads `windows[:, :-1]` and is to say `windows[:, 1:]`.

    Args:
        ids:     (n_text,) the text in numbers: `CHARACTERS.encode(text)`, or tokens
        n_batch: int, how many pieces
        n:       int, how long each is, at most n_text
        rng:     np.random.Generator

    Returns:
        windows (n_batch, n), each n neighbours of ids.
    """
    ids = np.asarray(ids)
    check_integers("ids", ids)
    check_count("n_batch", n_batch, 0)
    check_count("n", n)
    if ids.ndim != 1 or len(ids) < n:
        raise ValueError(
            f"ids must be one row of at least {n}, the length of a window, but its "
            f"shape is {ids.shape}"
        )
    starts = rng.integers(0, len(ids) - n + 1, n_batch)
    return ids[starts[:, None] + np.arange(n)]
