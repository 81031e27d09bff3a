"""A trained Transformer: number words that it has never seen, translated."""

from functools import cache

import numpy as np
import pytest
from twins import need_torch

torch = need_torch()

from course_lib.data.vocabulary import END, START  # noqa: E402
from course_lib.training.beam import beam_search  # noqa: E402
from course_lib.training.metrics import sequence_correct  # noqa: E402
from course_lib.training.tasks import TASKS  # noqa: E402
from course_lib.training.translators import train_translator  # noqa: E402
from course_lib.training.writers import TransformerWriter  # noqa: E402

STEPS = 500


@cache
def trained():
    """A Transformer of 238,000 parameters after 500 steps, and what it measured."""
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    return train_translator("transformer", "single", 0, STEPS, cpu)


@pytest.mark.trained
def test_a_transformer_translates_99_of_100_unseen_number_words():
    model, losses, measured = trained()
    assert sum(parameter.numel() for parameter in model.parameters()) < 240_000
    assert len(losses) == STEPS
    assert measured["sequences"] >= 0.99  # seeds 0, 1 and 2: .999, .998 and 1


@pytest.mark.trained
def test_a_beam_is_as_good_and_a_cache_changes_nothing():
    model, _, measured = trained()
    pairs, found = TASKS["single"].test_pairs(), []
    source = torch.tensor(pairs.source[:200])
    mask = torch.tensor(pairs.source_mask[:200])
    first = torch.full((200,), START)
    for cached in (True, False):
        writer = TransformerWriter(model.eval(), cached)
        with torch.no_grad():
            state = writer.start(source, mask)
        ids, _ = beam_search(writer, state, first, pairs.target.shape[1])
        found.append(ids[:, 0].numpy())
    np.testing.assert_array_equal(*found)
    correct = sequence_correct(found[0], pairs.target[:200])
    assert correct.mean() >= 0.98
    assert (found[0] == END).any(axis=1).all()
