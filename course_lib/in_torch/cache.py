"""Keys and values of the words so far, in PyTorch. Twin of `in_numpy.cache`."""

import torch

from course_lib.shapes.cache import check_extension, check_rows


class KeyValueCache:
    """Twin of `in_numpy.cache.KeyValueCache`; shapes as there."""

    def __init__(self):
        self.key = self.value = None

    @property
    def length(self):
        """The number of positions it holds."""
        return 0 if self.key is None else self.key.shape[-2]

    def extend(self, key, value):
        """Put new keys and values behind the old ones, and give back all."""
        check_extension(key, value, self.key)
        if self.key is not None:
            key = torch.cat([self.key, key], dim=-2)
            value = torch.cat([self.value, value], dim=-2)
        self.key, self.value = key, value
        return key, value

    def select(self, rows):
        """Keep these rows of the first axis, in this order."""
        check_rows(rows, self.key)
        if self.key is not None:
            self.key, self.value = self.key[rows], self.value[rows]
