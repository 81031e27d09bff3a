"""Three graders of notebooks, each through its own command line.

All have the same methods, so that they can take turns:

    hand_in(numbers)    put the notebooks of these students where the grader looks
    grade_one(number)   grade one student's notebook, in one command
    grade_all()         grade all that was handed in, the quickest way it has; gives
                        the most MiB that one process of the grader's own held
    points()            {number: points} of what was graded, by its own record
"""

import csv
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat

from benchmarks.assignment import PREAMBLE, handed_in, solution, tests
from benchmarks.environments import environment, version
from benchmarks.measure import run

GRADE = [Path(sys.executable).with_name("attention-course"), "grade"]


class AttentionCourse:
    """Ours: `attention-course grade`.

    Args:
        folder: an empty one, for everything it reads and writes
    """

    name = "ours"

    def __init__(self, folder):
        self.folder = folder
        (folder / "submitted").mkdir()
        (folder / "reports").mkdir()

    def hand_in(self, numbers):
        for number in numbers:
            file = self.folder / "submitted" / f"s{number}.ipynb"
            file.write_text(handed_in(number))

    def grade_one(self, number):
        report = f"reports/s{number}.json"
        file = f"submitted/s{number}.ipynb"
        return run([*GRADE, file, "--json", report], self.folder)

    def grade_all(self):
        return run([*GRADE, "submitted", "--results", "."], self.folder)

    def points(self):
        found = {}
        for path in (self.folder / "reports").glob("*.json"):
            report = json.loads(path.read_text("utf-8"))
            found[number_of(report["file"])] = report["points"]
        return found


class Nbgrader:
    """`nbgrader autograde`; it grades one notebook after another."""

    name = f"nbgrader {version('nbgrader', 'nbgrader')}"

    def __init__(self, folder):
        self.folder, self._programs = folder, environment("nbgrader")
        source = folder / "source" / "lookup"
        source.mkdir(parents=True)
        nbformat.write(solution(), source / "lookup.ipynb")
        self._nbgrader("generate_assignment", "lookup")

    def _nbgrader(self, *arguments):
        # It calls a program of its environment by name.
        path = f"{self._programs}{os.pathsep}{os.environ['PATH']}"
        program = self._programs / "nbgrader"
        return run([program, *arguments], self.folder, PATH=path)

    def hand_in(self, numbers):
        for number in numbers:
            folder = self.folder / "submitted" / f"s{number}" / "lookup"
            folder.mkdir(parents=True)
            (folder / "lookup.ipynb").write_text(handed_in(number))

    def grade_one(self, number):
        return self._nbgrader("autograde", "lookup", f"--student=s{number}")

    def grade_all(self):
        return self._nbgrader("autograde", "lookup")

    def points(self):
        self._nbgrader("export")
        with open(self.folder / "grades.csv", newline="") as file:
            return {
                number_of(row["student_id"]): float(row["score"])
                for row in csv.DictReader(file)
            }


class Otter:
    """`otter run`, which grades one notebook and needs no Docker.

    `otter grade`, for many, starts a Docker container for each; without Docker an
    instructor runs `otter run` on every notebook, as many at a time as there are cores.
    """

    name = f"otter-grader {version('otter-grader', 'otter')}"

    def __init__(self, folder):
        self.folder, self._otter = folder, environment("otter") / "otter"
        (folder / "tests").mkdir()
        (folder / "submitted").mkdir()
        for test in tests():
            file = folder / "tests" / f"{test.question.grade_id}.py"
            file.write_text(otter_test(test))
        run([self._otter, "generate", "--tests-dir", "tests"], folder)

    def hand_in(self, numbers):
        for number in numbers:
            (self.folder / f"s{number}").mkdir()
            file = self.folder / "submitted" / f"s{number}.ipynb"
            file.write_text(handed_in(number))

    def grade_one(self, number):
        command = [self._otter, "run", "--output-dir", f"s{number}"]
        return run([*command, f"submitted/s{number}.ipynb"], self.folder)

    def grade_all(self):
        files = (self.folder / "submitted").glob("*.ipynb")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            peaks = list(pool.map(self.grade_one, map(number_of, files)))
        return max(filter(None, peaks), default=None)

    def points(self):
        found = {}
        for path in self.folder.glob("*/results.json"):
            results = json.loads(path.read_text("utf-8"))["tests"]
            found[number_of(path.parent.name)] = sum(
                result.get("score", 0) for result in results
            )
        return found


def otter_test(test):
    """The content of otter's test file for a Test."""
    question = test.question
    head = f"""\
from otter.test_files import test_case
OK_FORMAT = False
name = {question.grade_id!r}
points = {question.points}
all_or_nothing = True
"""
    cases = [
        f"@test_case(hidden=True)\ndef test_{i}({question.function}):\n    {line}\n"
        for i, line in enumerate(test.asserts)
    ]
    return "\n".join([head, PREAMBLE, *cases])


def number_of(name):
    """7 for "s7", "s7.ipynb" or "submitted/s7.ipynb"."""
    return int(Path(name).stem.removeprefix("s"))
