"""Keys and values of the words so far: the one thing in this library that remembers.

Under a causal mask a word's key and value never change once later words come. So a
model that writes word after word computes them once and keeps them.
"""

import numpy as np

from course_lib.shapes.cache import check_extension, check_rows


class KeyValueCache:
    """The keys and values of one layer, projected, rotated, and not yet repeated.

    With n_kv_heads below n_heads it is smaller by that factor: the reason for
    multi-query attention (Shazeer 2019, arXiv:1911.02150).
    """

    def __init__(self):
        self.key = self.value = None

    @property
    def length(self):
        """The number of positions it holds."""
        return 0 if self.key is None else self.key.shape[-2]

    def extend(self, key, value):
        """Put new keys and values behind the old ones, and give back all.

        Args:
            key, value: (..., n_kv_heads, n_new, d_head)

        Returns:
            key and value, both (..., n_kv_heads, length, d_head).
        """
        check_extension(key, value, self.key)
        if self.key is not None:
            key = np.concatenate([self.key, key], axis=-2)
            value = np.concatenate([self.value, value], axis=-2)
        self.key, self.value = key, value
        return key, value

    def select(self, rows):
        """Keep these rows of the first axis, in this order; beam search needs it.

        Args:
            rows: (n_rows,) integers; a row may come twice, or not at all
        """
        check_rows(rows, self.key)
        if self.key is not None:
            self.key, self.value = self.key[rows], self.value[rows]
