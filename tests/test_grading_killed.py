"""A batch that is killed at any moment and gone on with: one right report each."""

import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from fake_grader import processes_below, wait_until_gone
from grading_reports import SEED

from course_lib.grading.notebook import MAX_BYTES
from course_lib.grading.reports.files import read_json
from course_lib.grading.reports.schema import mistake
from course_lib.grading.sandbox import end_stuck
from course_lib.grading.signing import is_signed

BATCH = Path(__file__).with_name("killed_batch.py")
DEADLINE = 900  # seconds, on a machine that is busy with more than this
RIGHT = """
def softmax(scores):
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)
"""
IMPORT = "import numpy as np"
ZEROS = "def softmax(s): return s * 0"
# Cells after the import, and what comes of 2.1, which has 2 points.
HONEST = [
    ([RIGHT], "passed"),
    ([ZEROS], "wrong"),
    (["def softmax(s): raise NotImplementedError"], "unanswered"),
    ([RIGHT + "1 / 0"], "passed"),
]
HOSTILE = [
    (["import os; os._exit(0)", RIGHT], "passed"),
    (["import os, signal; os.kill(0, signal.SIGKILL)" + RIGHT], "unanswered"),
    (["import os\ndef softmax(s): os._exit(0)"], "stopped"),
    (["def softmax(s): raise KeyboardInterrupt"], "error"),
    (["import sys\ndef softmax(s): sys.exit('bye')"], "error"),
    (["def softmax(s): return softmax(s)"], "error"),
    (["def softmax(s): return np.ones(10**9)"], "error"),
    (["def softmax(s): return object()"], "wrong"),
    (["import os\nfor fd in range(3, 256):\n  try: os.write(fd, b'{}\\n[]\\n' * 9)\n"
      "  except OSError: pass", RIGHT], "passed"),
    (["import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)",
      RIGHT], "passed"),
    (["np.allclose = np.isclose = lambda *a, **k: True", ZEROS], "wrong"),
]  # fmt: skip
HANGING = [
    (["def softmax(s):\n  while True: pass"], "stopped"),
    (["while True: print('x' * 10**6)", RIGHT], "passed"),
]
BAD = [b"", b"{", b"[" * 10**5, b"\xff\xfe", b'{"cells": []}', b"\0" * 100]


def notebook(cells, number):
    """The bytes of a notebook of code cells, different for each number."""
    cells = [IMPORT, *cells, f"# {number}"]
    cells = [{"cell_type": "code", "source": source} for source in cells]
    return json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}).encode()


def make_class(folder, size, n_hostile):
    """Write a class's notebooks; returns the status of 2.1 by file.

    A tenth is in a zip, beside members that are as bad as they can be.
    """
    rng, size = random.Random(0), size - 5
    n_hostile -= 5
    hostile = [HOSTILE[i % len(HOSTILE)] for i in range(n_hostile - len(HANGING))]
    hostile = [*hostile[len(BAD) :], *HANGING, *[(bad, "unreadable") for bad in BAD]]
    honest = [HONEST[i % len(HONEST)] for i in range(size - n_hostile)]
    students = honest + hostile
    rng.shuffle(students)
    statuses = {}
    folder.mkdir()
    with zipfile.ZipFile(folder / "more.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for number, (cells, status) in enumerate(students):
            content = cells if status == "unreadable" else notebook(cells, number)
            name = f"s{number:03}/02_x.ipynb"
            if number % 10 == 0:
                packed.writestr(name, content)
                name = f"more.zip/{name}"
            else:
                (folder / f"s{number:03}").mkdir()
                (folder / name).write_bytes(content)
            statuses[name] = status
        packed.writestr("../02_slip.ipynb", notebook([RIGHT], -1))
        link = zipfile.ZipInfo("02_link.ipynb")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "/etc/passwd")
    (folder / "02_link.ipynb").symlink_to(BATCH)
    os.mkfifo(folder / "02_pipe.ipynb")
    with open(folder / "02_large.ipynb", "wb") as large:
        large.truncate(MAX_BYTES + 1)
    bad = ["link", "pipe", "large"], ["more.zip/02_slip", "more.zip/02_link"]
    bad = [f"02_{name}" for name in bad[0]] + bad[1]
    return statuses | {f"{name}.ipynb": "unreadable" for name in bad}


def written(results):
    """The reports in a results folder, by file; each file has one."""
    paths = list((results / "reports").glob("[!.]*"))
    reports = {report["file"]: report for report in map(read_json, paths)}
    assert len(reports) == len(paths)
    return reports


class Batch:
    """One run of a batch in a process of its own.

    Args:
        how: arguments of `killed_batch.py`, of which the second is the results folder
    """

    def __init__(self, *how):
        self._reports = Path(how[1]) / "reports"
        self.process = subprocess.Popen(
            [sys.executable, BATCH, *map(str, how)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, count):
        """Wait until there are that many reports; False if the batch ended before."""
        while self.process.poll() is None:
            if len(list(self._reports.glob("[!.]*"))) >= count:
                return True
            time.sleep(0.005)
        return False

    def kill(self):
        """End it at once; nothing that it started may stay."""
        started = processes_below(self.process.pid)
        self.process.kill()
        self.process.communicate()
        assert len(started) >= 2
        if left := wait_until_gone(started):
            end_stuck()  # as the next batch does, if it was killed in that instant
            assert wait_until_gone(left) == []

    def end(self):
        """The files that it graded, once it has come to its end."""
        out, err = self.process.communicate(timeout=DEADLINE)
        assert self.process.returncode == 0 and err == ""
        return json.loads(out)


def check_ended(results, statuses, graded):
    """One right report for each, none graded twice, and nothing else in the folder."""
    reports = written(results)
    assert Counter(graded) == Counter(list(statuses))
    assert sorted(path.name for path in results.iterdir()) == [
        ".lock", "reports", "summary.json"
    ]  # fmt: skip
    assert not list((results / "reports").glob(".*"))
    assert reports.keys() == statuses.keys()
    for file, report in reports.items():
        first = report["questions"][0]
        assert (first["id"], first["status"]) == ("2.1", statuses[file]), file
        assert report["points"] == (2 if statuses[file] == "passed" else 0), file
        assert bool(report["trouble"]) == (statuses[file] == "unreadable")
        assert mistake(report, "report") is None and is_signed(report, SEED)
    assert read_json(results / "summary.json")["graded"] == len(statuses)


@pytest.fixture(scope="module")
def class_of_500(tmp_path_factory):
    """A class's folder, 50 of its 500 files hostile, and the status of 2.1 by file."""
    folder = tmp_path_factory.mktemp("hand-ins") / "class"
    statuses = make_class(folder, 500, 50)
    assert len(statuses) == 500
    return folder, statuses


@pytest.fixture(scope="module")
def ended_locally(class_of_500, tmp_path_factory):
    """The results of that class, killed at a random moment and gone on with."""
    folder, statuses = class_of_500
    results = tmp_path_factory.mktemp("locally") / "results"
    moment = random.Random(1).randrange(20, 480)
    first = Batch(folder, results, "real")
    assert first.wait_for(moment)
    first.kill()
    before = written(results)
    assert moment <= len(before) < 500
    second = Batch(folder, results, "real").end()
    check_ended(results, statuses, [*before, *second])
    return results


def test_a_killed_batch_of_500_ends_with_one_right_report_each(ended_locally):
    assert len(written(ended_locally)) == 500


def test_so_does_one_on_a_cluster_that_loses_a_worker_and_is_killed(
    class_of_500, ended_locally, tmp_path
):
    folder, statuses = class_of_500
    results = tmp_path / "results"
    rng = random.Random(2)
    moment = rng.randrange(20, 300)
    first = Batch(folder, results, "real", "local")
    assert first.wait_for(moment)
    os.kill(rng.choice(workers_of(first.process.pid)), signal.SIGKILL)
    assert first.wait_for(moment + rng.randrange(100, 180))
    first.kill()
    before = written(results)
    second = Batch(folder, results, "real", "local")
    assert second.wait_for(len(before) + 5)
    os.kill(rng.choice(workers_of(second.process.pid)), signal.SIGKILL)
    check_ended(results, statuses, [*before, *second.end()])
    assert written(results) == written(ended_locally)


def workers_of(pid):
    """Process ids of the cluster's two workers, which the batch's process started.

    What these start has their command line too, until it runs a program of its own.
    """
    workers = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                workers.append(int(child))
    assert len(workers) == 2
    return workers


def test_so_does_any_batch_killed_again_and_again(tmp_path):
    size, rng = 120, random.Random(3)
    statuses = make_class(tmp_path / "class", size, 20)
    results, kills = tmp_path / "results", 0
    for _ in range(3):
        there = len(list((results / "reports").glob("[!.]*")))
        run = Batch(tmp_path / "class", results, "fake")
        if run.wait_for(there + rng.randrange(1, 20)):  # of its own, far from its end
            time.sleep(rng.random() / 100)
            run.kill()
            kills += 1
    before = written(results)
    graded = [*before, *Batch(tmp_path / "class", results, "fake").end()]
    assert kills == 3 and Counter(graded) == Counter(list(statuses))
    assert written(results).keys() == statuses.keys()
