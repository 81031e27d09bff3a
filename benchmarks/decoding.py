"""Writing with a key-value cache, and without."""

import torch

from benchmarks.measure import seconds
from course_lib.in_torch.language_model import LanguageModel
from course_lib.training.decoding import greedy
from course_lib.training.writers import LanguageWriter


def cached_against_uncached(quick):
    """Time to write n words with a small language model, greedily, one after another.

    4 layers, 128 features, 4 heads of which 2 have keys and values, rotary positions,
    untrained. Without a cache every word reads all that is written again.
    """
    torch.manual_seed(0)
    model = LanguageModel(256, 128, 4, 4, 512, n_kv_heads=2, positions="rotary").eval()
    rows = []
    for n in [4, 8] if quick else [64, 128, 256, 512]:

        def write(cached, n=n):
            start = torch.zeros(1, dtype=torch.long)
            writer = LanguageWriter(model, cached)
            state = writer.start(start.new_zeros((1, 0)))
            return greedy(writer, state, start, n, end=None)[0]

        assert torch.equal(write(True), write(False))
        uncached, cached = seconds(
            1 if quick else 3, lambda: write(False), lambda: write(True)
        )
        rows.append(
            {
                "n": n,
                "uncached_seconds": uncached,
                "cached_seconds": cached,
                "ratio": uncached / cached,
            }
        )
    return rows
