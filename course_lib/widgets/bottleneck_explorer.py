"""Chapter 1's runs, to look through: what length, hidden size and training change."""

from difflib import SequenceMatcher

import numpy as np
import traitlets

from course_lib.widgets.base import CourseWidget, table

# What the page calls each task, and one and several units of its length.
TASKS = {
    "lists": ("lists of number words", ("number", "numbers")),
    "digits": ("reversed digits", ("digit", "digits")),
    "single": ("single numbers", ("digit", "digits")),
}
PARTS = (
    *("task", "hidden", "seed", "attention", "budget", "reverse_source", "steps"),
    *("trained_lengths", "bins", "at_step", "sequence_accuracy", "tested", "examples"),
)


class BottleneckExplorer(CourseWidget):
    """Sequence accuracy against length, with attention and with one vector.

    The reader chooses task, hidden size and budget, and sees the mean over the seeds,
    the lowest and the highest seed, and what the models wrote. Runs that are not
    finished, and runs on reversed sources, are left out.

    Args:
        results: dicts, one a run, as in the committed result files
        task:    the task to start with. None = the first there is.
        hidden:  the hidden size to start with. None = the task's smallest.
        budget:  the training budget to start with. None = the smallest for that size.

    Raises:
        ValueError: the results are not of one kind, or hold no finished run.
        traitlets.TraitError: no run has this task, hidden size or budget.
    """

    stem, name = "bottleneck_explorer", "explorer"

    tasks = traitlets.List(traitlets.Dict()).tag(sync=True)
    task = traitlets.Unicode().tag(sync=True)
    hidden = traitlets.Int().tag(sync=True)
    budget = traitlets.Int().tag(sync=True)
    bin = traitlets.Int().tag(sync=True)  # of lengths, looked at; counted from 0

    def __init__(self, results, task=None, hidden=None, budget=None):
        tasks = _tasks(results)
        shown = next((each for each in tasks if each["name"] == task), tasks[0])
        sizes = [run for run in shown["runs"] if run["hidden"] == hidden]
        first = (sizes or shown["runs"])[0]
        super().__init__(
            tasks=tasks,
            task=shown["name"] if task is None else task,
            hidden=first["hidden"] if hidden is None else hidden,
            budget=first["budget"] if budget is None else budget,
            bin=shown["trained"] - 1,
        )

    def heights(self):
        """As for every `CourseWidget`, with two examples."""
        return 1270, 2210

    def static(self):
        """The accuracy of the chosen runs at every length."""
        (task,) = [each for each in self.tasks if each["name"] == self.task]
        lengths = [
            f"{first} to {last}" if first < last else f"{last}"
            for first, last in task["bins"]
        ]
        runs = [
            run
            for run in task["runs"]
            if (run["hidden"], run["budget"]) == (self.hidden, self.budget)
        ]
        rows = [
            ["attention" if run["attention"] else "one vector"]
            + [
                f"{mean:.2f} ({low:.2f} to {high:.2f})"
                for mean, low, high in zip(
                    run["mean"], run["low"], run["high"], strict=True
                )
            ]
            for run in runs
        ]
        caption = (
            f"Sequence accuracy on {task['title']}: mean (lowest to highest seed), "
            f"with {self.hidden} numbers of state, after "
            f"{self.budget * task['steps']:,} steps. Lengths beyond "
            f"{lengths[task['trained'] - 1]} are longer than in training."
        )
        return table(caption, [f"length in {task['units'][1]}", *lengths], rows)

    @traitlets.validate("task", "hidden", "budget")
    def _known(self, proposal):
        name, chosen = proposal["trait"].name, proposal["value"]
        if name == "task":
            known = [task["name"] for task in self.tasks]
        else:
            known = sorted({run[name] for task in self.tasks for run in task["runs"]})
        if chosen not in known:
            choices = ", ".join(map(str, known))
            raise traitlets.TraitError(
                f"{name} must be one of {choices}, but it is {chosen!r}"
            )
        return chosen


def _tasks(results):
    """What the page needs of the results: a dict for each task that has runs."""
    for result in results:
        missing = [name for name in PARTS if name not in result]
        if missing:
            raise ValueError(f"a run in results has no {missing[0]!r}")
        if result["task"] not in TASKS:
            raise ValueError(
                f"results must be of the tasks {', '.join(TASKS)}, "
                f"but one is of {result['task']!r}"
            )
    shown = [each for each in results if _finished(each) and not each["reverse_source"]]
    if not shown:
        raise ValueError("results must hold a finished run, but there is none")
    by_task = {name: [each for each in shown if each["task"] == name] for name in TASKS}
    return [_task(name, runs) for name, runs in by_task.items() if runs]


def _finished(result):
    return result["at_step"][-1:] == [result["steps"]]


def _task(name, results):
    """One task: its lengths, its examples, and its runs, seeds taken together."""
    shared = [_shared(each) for each in results]
    for part, expected in shared[0].items():
        if any(each[part] != expected for each in shared):
            raise ValueError(f"all runs of {name!r} must have the same {part}")
    title, units = TASKS[name]
    settings = sorted({_setting(each) for each in results})
    return {
        "name": name,
        "title": title,
        "units": list(units),
        **shared[0],
        "runs": [
            _run([each for each in results if _setting(each) == setting])
            for setting in settings
        ],
    }


def _shared(result):
    """What all runs of a task have in common."""
    longest = result["trained_lengths"][1]
    return {
        "bins": result["bins"],
        "trained": sum(last <= longest for _, last in result["bins"]),  # bins
        "tested": result["tested"],
        "steps": result["steps"] // result["budget"],  # of one budget
        "examples": [
            {
                "bin": sum(last < example["length"] for _, last in result["bins"]),
                "source": example["source"],
                "target": example["target"],
            }
            for example in result["examples"]
        ],
    }


def _setting(result):
    """What the seeds of one run share; with attention comes first."""
    return result["hidden"], result["budget"], not result["attention"]


def _run(results):
    """The seeds of one setting, as numbers for each bin; examples of the first seed."""
    results = sorted(results, key=lambda each: each["seed"])
    seeds = [each["seed"] for each in results]
    first = results[0]
    twice = [seed for seed in seeds if seeds.count(seed) > 1]
    if twice:
        raise ValueError(
            f"seed {twice[0]} occurs twice in the runs of {first['task']!r} "
            f"with hidden size {first['hidden']} and budget {first['budget']}"
        )
    accuracy = np.array([each["sequence_accuracy"][-1] for each in results])
    return {
        "hidden": first["hidden"],
        "budget": first["budget"],
        "attention": first["attention"],
        "seeds": seeds,
        "mean": accuracy.mean(axis=0).round(4).tolist(),  # (n_bins,)
        "low": accuracy.min(axis=0).tolist(),
        "high": accuracy.max(axis=0).tolist(),
        "written": [
            _written(example["target"].split(), example["predicted"].split())
            for example in first["examples"]
        ],
    }


def _written(right, written):
    """What a model wrote, cut wherever it leaves the right answer.

    Args:
        right, written: lists of words

    Returns:
        a dict: verdict, in words, and pieces, pairs of ["same", text], ["wrong", text]
        or ["missing", number of words]; none if all is right.
    """
    if written == right:
        return {"verdict": "✓ right", "pieces": []}
    pieces, n_wrong, n_missing = [], 0, 0
    matcher = SequenceMatcher(None, right, written, autojunk=False)
    for tag, start, end, start_written, end_written in matcher.get_opcodes():
        words = written[start_written:end_written]
        lacking = max(0, end - start - len(words))
        if words:
            pieces.append(["same" if tag == "equal" else "wrong", " ".join(words)])
        if lacking:
            pieces.append(["missing", lacking])
        n_wrong += 0 if tag == "equal" else len(words)
        n_missing += lacking
    counts = [(n_wrong, "wrong"), (n_missing, "missing")]
    mistakes = ", ".join(f"{n} {kind}" for n, kind in counts if n)
    return {"verdict": f"✗ {mistakes}", "pieces": pieces}
