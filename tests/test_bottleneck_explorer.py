"""Chapter 1's explorer without a browser: what it makes of results, what it refuses."""

import copy
import json
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import traitlets

from course_lib.widgets import BottleneckExplorer

SEEDS = (0, 1, 2)
BINS = {
    "lists": [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5]],
    "digits": [[1, 4], [5, 8], [9, 12], [13, 16]],
    "single": [[1, 3], [4, 9]],
}
TRAINED = {"lists": [1, 4], "digits": [1, 12], "single": [1, 9]}
STEPS = {"lists": 300, "digits": 500, "single": 400}


def run(task, hidden, seed, attention, budget, reverse_source=False):
    """A made-up result: accuracy falls with length, faster without attention."""
    n_bins, steps = len(BINS[task]), STEPS[task] * budget
    fall = np.arange(n_bins) * (0.1 if attention else 0.3 - 0.002 * hidden)
    shares = (0.9 - fall + 0.01 * budget - 0.02 * seed).clip(0, 1).round(4).tolist()
    examples = []
    for (_, length), i in product(BINS[task], range(2)):
        words = "drei hundert und zwölf ," if task == "lists" else ""
        source = [f"<b>{task}</b>"]
        for k in range(length):
            source += [*words.split(), str((k + i) % 10)]
        target = source[::-1]
        wrong = ["x", *target[1:-1]]  # the first word is wrong, the last is missing
        examples.append(
            {
                "length": length,
                "source": " ".join(source),
                "target": " ".join(target),
                "predicted": " ".join(target if attention else wrong),
            }
        )
    return {
        "command": "attention-course train bottleneck ...",
        "task": task,
        "hidden": hidden,
        "seed": seed,
        "attention": attention,
        "budget": budget,
        "reverse_source": reverse_source,
        "steps": steps,
        "trained_lengths": TRAINED[task],
        "bins": BINS[task],
        "bits_per_length": 3.3,
        "at_step": [steps // 2, steps],
        "loss": [2.0, 1.0],
        "sequence_accuracy": [[0.5] * n_bins, shares],
        "token_accuracy": [0.5, 0.6],
        "tested": [100 + i for i in range(n_bins)],
        "examples": examples,
    }


def made_up_results():
    """Runs like the committed ones: two full grids, and single numbers once."""
    grid = product(("digits", "lists"), (32, 64, 96), SEEDS, (True, False), (1, 5))
    single = [run("single", 64, seed, False, 5) for seed in SEEDS]
    return [run(*settings) for settings in grid] + single


@pytest.fixture
def results():
    """Made-up results that a test may change."""
    return made_up_results()


def find(widget, task, **settings):
    """The widget's runs of a task that have these settings."""
    (found,) = [each for each in widget.tasks if each["name"] == task]
    fits = [
        each
        for each in found["runs"]
        if all(each[name] == x for name, x in settings.items())
    ]
    return found, fits


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize(("hidden", "budget"), [(32, 1), (96, 5)])
def test_seeds_are_summed_up_by_mean_lowest_and_highest(
    results, hidden, budget, attention
):
    settings = {"hidden": hidden, "budget": budget, "attention": attention}
    chosen = [
        each["sequence_accuracy"][-1]
        for each in results
        if each["task"] == "digits" and all(each[k] == x for k, x in settings.items())
    ]
    assert len(chosen) == len(SEEDS)
    _, (found,) = find(BottleneckExplorer(results), "digits", **settings)
    np.testing.assert_allclose(found["mean"], np.mean(chosen, axis=0), atol=1e-4)
    np.testing.assert_array_equal(found["low"], np.min(chosen, axis=0))
    np.testing.assert_array_equal(found["high"], np.max(chosen, axis=0))
    assert found["seeds"] == list(SEEDS)


def test_the_order_of_the_results_does_not_matter(results):
    forwards, backwards = BottleneckExplorer(results), BottleneckExplorer(results[::-1])
    assert forwards.tasks == backwards.tasks
    _, runs = find(forwards, "lists")
    order = [(each["hidden"], each["budget"], not each["attention"]) for each in runs]
    assert order == sorted(order)


def test_examples_are_those_of_the_first_seed(results):
    for each in results:
        if each["seed"] > 0:
            for example in each["examples"]:
                example["predicted"] = "not these"
    written = [
        answer
        for task in BottleneckExplorer(results).tasks
        for each in task["runs"]
        for answer in each["written"]
    ]
    assert written and "not these" not in json.dumps(written)


@pytest.mark.parametrize(
    ("predicted", "verdict", "pieces"),
    [
        ("a b c d", "✓ right", []),
        ("a x c d", "✗ 1 wrong", [["same", "a"], ["wrong", "x"], ["same", "c d"]]),
        ("a d", "✗ 2 missing", [["same", "a"], ["missing", 2], ["same", "d"]]),
        ("a b c d e f", "✗ 2 wrong", [["same", "a b c d"], ["wrong", "e f"]]),
        (
            "x b c",
            "✗ 1 wrong, 1 missing",
            [["wrong", "x"], ["same", "b c"], ["missing", 1]],
        ),
        ("", "✗ 4 missing", [["missing", 4]]),
        ("x", "✗ 1 wrong, 3 missing", [["wrong", "x"], ["missing", 3]]),
    ],
)
def test_a_wrong_answer_is_cut_where_it_leaves_the_right_one(
    predicted, verdict, pieces
):
    only = run("digits", 32, 0, True, 1)
    only["examples"] = [
        {"length": 4, "source": "d c b a", "target": "a b c d", "predicted": predicted}
    ]
    _, (found,) = find(BottleneckExplorer([only]), "digits")
    assert found["written"] == [{"verdict": verdict, "pieces": pieces}]


def test_examples_and_trained_lengths_are_counted_in_bins(results):
    widget = BottleneckExplorer(results)
    trained = {task["name"]: task["trained"] for task in widget.tasks}
    assert trained == {"lists": 4, "digits": 3, "single": 2}
    digits, _ = find(widget, "digits")
    assert [each["bin"] for each in digits["examples"]] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_unfinished_runs_and_reversed_sources_are_left_out(results):
    expected = BottleneckExplorer(results).tasks
    unfinished, untouched = (run("digits", 32, 3, True, 1) for _ in range(2))
    unfinished["at_step"].pop()
    untouched.update(at_step=[], sequence_accuracy=[], tested=[], examples=[])
    flipped = run("lists", 64, 0, False, 5, reverse_source=True)
    more = [unfinished, *results, untouched, flipped]
    assert BottleneckExplorer(more).tasks == expected


def test_the_start_is_the_first_there_is_unless_chosen(results):
    def start(**chosen):
        widget = BottleneckExplorer(results, **chosen)
        return widget.task, widget.hidden, widget.budget

    assert start() == ("lists", 32, 1)
    assert start(task="single") == ("single", 64, 5)
    assert start(task="digits", hidden=96, budget=5) == ("digits", 96, 5)


def test_traits_take_what_was_run_and_refuse_the_rest_in_a_sentence(results):
    widget = BottleneckExplorer(results)
    widget.task, widget.hidden, widget.budget = "digits", 96, 5
    for name, bad, known in [
        ("task", "words", "lists, digits, single, but it is 'words'"),
        ("hidden", 33, "32, 64, 96, but it is 33"),
        ("budget", 0, "1, 5, but it is 0"),
    ]:
        message = f"^{name} must be one of {known}$"
        with pytest.raises(traitlets.TraitError, match=message):
            setattr(widget, name, bad)
        with pytest.raises(traitlets.TraitError, match=message):
            BottleneckExplorer(results, **{name: bad})
    assert (widget.task, widget.hidden, widget.budget) == ("digits", 96, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda results: results.clear(), "must hold a finished run"),
        (lambda results: results[5].pop("bins"), "a run in results has no 'bins'"),
        (lambda results: results[5].update(task="maze"), "but one is of 'maze'"),
        (lambda results: results[5].update(tested=[7, 7]), "'digits' .* same tested"),
        (lambda results: results[5].update(bins=[[1, 9]]), "'digits' .* same bins"),
        (
            lambda results: results[5].update(steps=7, at_step=[7]),
            "'digits' .* the same steps",
        ),
        (
            lambda results: results[5]["examples"][0].update(source="9"),
            "'digits' .* the same examples",
        ),
        (
            lambda results: results.append(copy.deepcopy(results[8])),
            "seed 2 occurs twice .* 'digits' with hidden size 32 and budget 1",
        ),
    ],
)
def test_results_that_do_not_fit_together_are_refused(results, change, message):
    change(results)
    with pytest.raises(ValueError, match=message):
        BottleneckExplorer(results)


def test_the_state_is_small_and_holds_all_the_page_needs(results):
    state = BottleneckExplorer(results).get_state()
    assert {"tasks", "task", "hidden", "budget", "bin", "_esm", "_css"} <= set(state)
    data = {name: value for name, value in state.items() if name[0] != "_"}
    assert len(json.dumps(data, ensure_ascii=False)) < 30_000


def test_the_explorer_does_not_need_torch():
    script = "import sys, course_lib.widgets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
