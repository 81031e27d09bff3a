"""`attention-course grade` and `doctor`: what they print, write, and end with."""

import io
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from fake_grader import processes_below, wait_until_gone
from grading_reports import report
from rich.console import Console

from course_lib.cli import main
from course_lib.grading import sandbox, workers
from course_lib.grading.grader import grade
from course_lib.grading.progress import Tally
from course_lib.grading.reports.files import read_json, read_seed
from course_lib.grading.signing import is_signed

RIGHT = """
import numpy as np
def softmax(scores):
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)
"""


def write(path, *cells):
    """A notebook of code cells, in folders that are made for it."""
    cells = [{"cell_type": "code", "source": source} for source in cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells}))
    return path


def command(*arguments):
    """Run `attention-course grade`; exit code and what it printed, on one line."""
    result = CliRunner().invoke(main, ["grade", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, " ".join(result.output.split())


def test_a_bad_file_gets_a_sentence_and_never_stops_the_others(tmp_path):
    not_json, no_cells = "is not a notebook: it is not JSON", "it has no cells"
    bad = {
        b"": not_json,
        b'{"cells": [': not_json,
        b"[" * 10**5: not_json,
        b"\xff\xfe\x00": not_json,
        b"[1, 2]": no_cells,
        b'{"cells": 3}': no_cells,
    }
    for number, content in enumerate(bad):
        (tmp_path / f"02_{number}.ipynb").write_bytes(content)
    write(tmp_path / "good.ipynb", RIGHT)
    missing = tmp_path / "missing.ipynb"
    files = [missing, *sorted(tmp_path.glob("*.ipynb"))]
    code, output = command(*files, "--json", tmp_path / "reports.json")
    assert code == 1 and "2 of 16 points" in output
    assert "Error: there is no file missing.ipynb." in output
    *unread, good, gone = json.loads((tmp_path / "reports.json").read_text())
    assert good["points"] == 2 and gone["questions"] == []
    for one, says in zip(unread, bad.values(), strict=True):
        assert one["points"] == 0 and one["possible"] == 16 and says in one["trouble"]
        for row in one["questions"]:
            assert row["status"] == "unreadable" and says in row["message"]


def test_empty_folders_pipes_and_unwritable_reports_get_a_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    code, output = command(tmp_path / "empty")
    assert (code, output) == (1, "Error: empty holds no notebook (.ipynb) and no zip.")
    os.mkfifo(tmp_path / "pipe")
    code, output = command(tmp_path / "pipe")
    assert (code, output) == (1, "Error: pipe is not a regular file.")
    good = write(tmp_path / "good.ipynb", RIGHT)
    code, output = command(good, "--json", tmp_path / "nowhere" / "report.json")
    assert code == 1 and "Error: cannot write" in output


def test_one_file_prints_a_table_and_is_written_as_an_object(tmp_path):
    raises = "def soft_lookup(q, k, v):\n    raise ValueError('[red]\\x1b[31m \\ud800')"
    path = write(tmp_path / "one.ipynb", RIGHT, raises)
    code, output = command(path, "--json", tmp_path / "report.json", "--seed", 7)
    assert code == 0 and "one.ipynb: 2 of 16 points" in output
    assert "[red]" in output and "\x1b" not in output
    assert read_json(tmp_path / "report.json") == grade(path, 7)[0]
    for several in ([path, path], [tmp_path]):
        command(*several, "--json", tmp_path / "report.json")
        (one,) = read_json(tmp_path / "report.json")
        assert one["file"] == "one.ipynb"


def test_several_files_are_printed_in_the_order_of_their_names(tmp_path):
    names = ["b", "d", "a", "c"]
    slow = "import time; time.sleep(0.5)"
    for name in names:
        write(tmp_path / f"{name}.ipynb", slow if name in "ac" else "", RIGHT)
    code, output = command(*(tmp_path / f"{name}.ipynb" for name in names))
    titles = [word for word in output.split() if word.endswith(".ipynb:")]
    assert code == 0
    assert titles == ["a.ipynb:", "b.ipynb:", "c.ipynb:", "d.ipynb:"]


@pytest.fixture
def class_of_3(tmp_path):
    """A folder with two notebooks and what is none."""
    for name in ("anna", "ben"):
        write(tmp_path / "class" / name / "02_x.ipynb", RIGHT, f"# {name}")
    (tmp_path / "class" / "02_cut.ipynb").write_text("{")
    return tmp_path / "class"


def test_a_batch_writes_reports_a_summary_and_its_seed_and_can_go_on(
    class_of_3, tmp_path
):
    results = tmp_path / "results"
    code, output = command(class_of_3, "--results", results)
    assert code == 1 and "Error: 02_cut.ipynb is not a notebook" in output
    where = f"The reports are in {results}."
    assert output.endswith(f"3 graded, 1 of them unreadable. {where}")
    seed = read_seed(results / "secret-seed")
    assert stat.S_IMODE((results / "secret-seed").stat().st_mode) == 0o600
    reports = [read_json(path) for path in (results / "reports").iterdir()]
    assert {one["student"]: one["points"] for one in reports} == {
        "anna": 2, "ben": 2, "02_cut": 0
    }  # fmt: skip
    assert all(is_signed(one, seed) for one in reports)
    assert read_json(results / "summary.json")["graded"] == 3
    code, output = command(class_of_3, "--results", results)
    assert code == 1 and output.startswith(f"Error: {results} has reports in it")
    (class_of_3 / "02_cut.ipynb").unlink()
    write(class_of_3 / "carl" / "02_x.ipynb", RIGHT)
    as_list = tmp_path / "all.json"
    code, output = command(
        class_of_3, "--results", results, "--resume", "--json", as_list
    )
    assert code == 0 and output == f"1 graded, 2 there already. {where}"
    students = [one["student"] for one in read_json(as_list)]
    assert students == ["anna", "ben", "carl"]


def test_a_seed_is_given_or_in_a_file_and_stays_that_of_the_results(
    class_of_3, tmp_path
):
    results, seed_file = tmp_path / "results", tmp_path / "seed"
    code, _ = command(class_of_3, "--results", results, "--seed-file", seed_file)
    assert code == 1 and not (results / "secret-seed").exists()
    seed = read_seed(seed_file)
    go_on = [class_of_3, "--results", results, "--resume"]
    code, output = command(*go_on, "--seed", seed)
    assert "0 graded, 3 there already, 1 of them unreadable." in output
    for other, says in {
        ("--seed", 5): "was made with another seed: give the same --seed or",
        (): "secret-seed is missing: give the same --seed or --seed-file again",
    }.items():
        code, output = command(*go_on, *other)
        assert code == 1 and says in output
        assert not (results / "secret-seed").exists()
    assert command(*go_on, "--seed", 5, "--seed-file", seed_file)[0] == 2
    assert command(class_of_3, "--resume")[0] == 2
    seed_file.write_text("none")
    code, output = command(*go_on, "--seed-file", seed_file)
    assert (code, output) == (
        1, f"Error: {seed_file} holds no seed: it should be one number."
    )  # fmt: skip


def test_scores_count_without_a_sandbox_only_if_that_is_asked_for(
    tmp_path, monkeypatch
):
    workers.close_spare()
    monkeypatch.setattr(workers, "_chosen", None)
    monkeypatch.setattr(sandbox, "SANDBOXES", (sandbox.PLAIN,))
    path = write(tmp_path / "02_x.ipynb", RIGHT)
    says = "Sandbox: plain. This is no score of record."
    code, output = command(path, "--json", tmp_path / "a.json")
    assert code == 0 and says in output
    assert not read_json(tmp_path / "a.json")["of_record"]
    code, output = command(path, "--json", tmp_path / "a.json", "--allow-unsandboxed")
    assert code == 0 and says not in output
    assert read_json(tmp_path / "a.json")["of_record"]
    code, output = command(path, "--results", tmp_path / "results")
    assert output.endswith("There is no sandbox here: these are no scores of record.")
    workers.close_spare()


@pytest.mark.parametrize("lanes", [["--jobs", "2"], ["--scheduler", "local"]])
def test_ctrl_c_ends_in_order_and_says_how_to_go_on(tmp_path, lanes):
    for number in range(30):
        write(tmp_path / "class" / f"{number:02}.ipynb", RIGHT, f"# {number}")
    results = tmp_path / "the results"
    arguments = [str(tmp_path / "class"), "--results", str(results), *lanes]
    running = subprocess.Popen(
        [sys.executable, "-m", "course_lib.cli", "grade", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while len(list(results.glob("reports/[!.]*"))) < 3:
        assert running.poll() is None
        time.sleep(0.01)
    started = processes_below(running.pid)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: lanes get it too
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130 and out == "", (out, err)
    assert wait_until_gone(started) == []
    done = len(list(results.glob("reports/*")))
    assert 3 <= done < 30
    assert read_json(results / "summary.json")["graded"] == done
    says = "Stopped. What is graded is kept; go on with: attention-course "
    assert err.startswith(says)
    again = shlex.split(err.removeprefix(says))
    assert again == ["grade", *arguments, "--resume"]
    if "--scheduler" in lanes:
        return  # the rest is the same
    code, output = command(*again[1:])
    assert code == 0 and output.startswith(f"{30 - done} graded, {done} there already.")


def test_ctrl_c_without_results_says_that_none_are_kept(tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("course_lib.grading.batch.grade_content", interrupted)
    monkeypatch.setattr("course_lib.grading.batch.grade_all", interrupted)
    code, output = command(write(tmp_path / "a.ipynb", RIGHT))
    assert code == 130 and output == "Stopped. No report is kept without --results."


def test_missing_dask_gets_the_command_that_installs_it(class_of_3, monkeypatch):
    monkeypatch.delitem(sys.modules, "course_lib.grading.cluster", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, output = command(class_of_3, "--scheduler", "local")
    assert code == 1
    assert output.startswith(
        "Error: --scheduler needs Dask: pip install 'attention-course[cluster]'."
    )


def test_progress_is_shown_to_people_alone():
    for is_terminal in (True, False):
        screen = io.StringIO()
        console = Console(file=screen, force_terminal=is_terminal, width=80)
        with Tally(5, console) as tally:
            tally.add(report(), was_there=True)
            tally.add(report(trouble="it is cut off"))
            time.sleep(0.01)
            tally.add(report())
        shown = screen.getvalue()
        assert ("2 of 4 graded" in shown and "1 unreadable" in shown) == is_terminal
        assert ("a minute" in shown) == is_terminal and bool(shown) == is_terminal
        assert str(tally) == "2 graded, 1 there already, 1 of them unreadable"


def test_doctor_names_the_sandboxes_and_gives_one_advice():
    result = CliRunner().invoke(main, ["doctor"])
    *lines, cores, advice = result.output.splitlines()
    assert result.exit_code == 0 and advice
    assert cores.startswith("cores: ")
    names = [line.partition(":")[0] for line in lines]
    assert names[0] == "bubblewrap" and names[-1] == "plain"
    for line in lines:
        assert line.endswith(": works") or ": does not work. " in line
