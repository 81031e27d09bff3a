"""Several processes train as one does: same losses, same weights, one who writes."""

import json

import numpy as np
import pytest
from torchrun import launch
from twins import need_torch

torch = need_torch()

import in_two_processes  # noqa: E402

from course_lib.training.distributed import (  # noqa: E402
    n_processes,
    n_rows,
    processes,
    rank,
    share_of,
)

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of two processes wrote, and what both printed."""
    folder = tmp_path_factory.mktemp("two")
    printed = launch("in_two_processes.py", folder, together=True)
    written = sorted(path.name for path in folder.iterdir())
    assert written == ["0.json", "1.json", "dropped.pt", "stopped.pt"]
    one, other = (json.loads((folder / f"{i}.json").read_text()) for i in (0, 1))
    return one, other, printed


def all_numbers(run):
    """The losses and every weight of a run, in a row."""
    losses, weights = run
    return np.concatenate([losses, *map(np.ravel, weights)])


def test_two_processes_make_the_losses_and_the_weights_of_one(found):
    expected = in_two_processes.train()
    for mine in found[:2]:
        losses, weights = mine["whole"]
        np.testing.assert_allclose(losses, expected[0], rtol=0, atol=1e-5)
        for one, other in zip(weights, expected[1], strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)
    assert losses[-1] < 0.95 * losses[0]  # it learnt something meanwhile


def test_both_processes_end_with_the_same_weights_bit_for_bit(found):
    one, other, _ = found
    assert one["whole"] == other["whole"]


def test_the_shares_differ_in_rows_and_in_words(found):
    shares = [mine["stopped"][0] for mine in found[:2]]
    assert shares == [4, 3]
    pairs = in_two_processes.batch_at(0)
    n_words = [int(pairs.target_mask[first::2].sum()) for first in (0, 1)]
    assert n_words[0] / 4 != n_words[1] / 3


def test_the_first_process_measures_for_both_and_prints_for_both(found):
    one, other, printed = found
    assert one["ended"] == other["ended"] == 9
    assert printed == "done\n"


def test_all_stop_after_the_same_step_when_one_is_asked_and_go_on_exactly(found):
    one, other, _ = found
    assert len(one["stopped"]) == len(other["stopped"]) == 6
    for mine in (one, other):
        assert mine["resumed"] == mine["whole"]


def test_each_process_goes_on_with_its_own_random_numbers(found):
    one, other, _ = found
    for mine in (one, other):
        assert mine["dropping, resumed"] == mine["dropping"]


def test_a_batch_too_small_for_all_is_refused_in_one_sentence(found):
    for mine in found[:2]:
        assert mine["too small"] == "2 processes cannot share a batch of 1"


# Alone --------------------------------------------------------------------------------


def test_alone_a_process_is_the_first_and_has_everything():
    batch = object()  # whatever it is
    assert (rank(), n_processes()) == (0, 1)
    assert share_of(batch) is batch
    with processes(torch.device("cpu")):
        assert n_processes() == 1


def test_the_rows_of_a_batch_are_found_wherever_they_are():
    rows = np.zeros((5, 2))
    pairs = in_two_processes.batch_at(0)
    for batch in (rows, torch.zeros(5, 3), (rows, [rows]), {"a": rows}, [1] * 5):
        assert n_rows(batch) == 5
    assert n_rows(pairs) == n_rows((pairs, rows)) == 7


def test_shares_of_any_kind_of_batch_make_the_whole(monkeypatch):
    from course_lib.training import distributed

    pairs = in_two_processes.batch_at(0)
    batch = (pairs, {"noise": torch.arange(14).reshape(7, 2)})
    monkeypatch.setattr(distributed, "n_processes", lambda: 3)
    for first, n in ((0, 3), (1, 2), (2, 2)):
        monkeypatch.setattr(distributed, "rank", lambda first=first: first)
        some, extra = share_of(batch)
        np.testing.assert_array_equal(some.source, pairs.source[first::3])
        np.testing.assert_array_equal(some.length, pairs.length[first::3])
        assert extra["noise"][:, 0].tolist() == list(range(2 * first, 14, 6))
        assert n_rows((some, extra)) == n
