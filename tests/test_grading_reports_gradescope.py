"""Gradescope: every field of results.json; the autograder's zip, unpacked and run."""

import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from grading_reports import SEED, hostile_class, report, row
from jsonschema import Draft202012Validator
from nbformat.v4 import new_code_cell, new_notebook

from course_lib.cli import main
from course_lib.grading.questions import all_questions
from course_lib.grading.reports import in_gradescope
from course_lib.grading.reports.autograder import autograder_zip, requirements
from course_lib.grading.reports.gradescope import VISIBILITY, results
from course_lib.grading.reports.schema import mistake
from course_lib.grading.reports.summary import STATUSES
from course_lib.grading.reports.verifying import what_is_wrong

ROOT = Path(__file__).parents[1]
# Gradescope's documentation, "Autograder Specifications": "Output format", "Output
# string formatting", "Test case status", "Controlling test case visibility".
FORMAT = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
SHOWN = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
TEXT, NUMBER = {"type": "string"}, {"type": "number"}
DOCUMENTED = {
    "type": "object",
    "additionalProperties": False,
    "anyOf": [{"required": ["score"]}, {"required": ["tests"]}],
    "properties": {
        "score": NUMBER,
        "execution_time": NUMBER,
        "output": TEXT,
        "output_format": FORMAT,
        "test_output_format": FORMAT,
        "test_name_format": FORMAT,
        "visibility": SHOWN,
        "stdout_visibility": SHOWN,
        "extra_data": {"type": "object"},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "score": NUMBER,
                    "max_score": NUMBER,
                    "status": {"enum": ["passed", "failed"]},
                    "name": TEXT,
                    "name_format": FORMAT,
                    "number": TEXT,
                    "output": TEXT,
                    "output_format": FORMAT,
                    "tags": {"type": "array", "items": TEXT},
                    "visibility": SHOWN,
                    "extra_data": {"type": "object"},
                },
            },
        },
        "leaderboard": {"type": "array"},
    },
}


def assert_documented(made):
    """It has the form that Gradescope documents, and its score is that of its tests."""
    Draft202012Validator(DOCUMENTED).validate(json.loads(json.dumps(made)))
    tests = made["tests"]
    assert made["score"] == sum(test["score"] for test in tests)
    assert all(0 <= test["score"] <= test["max_score"] for test in tests)
    # Text is shown as it is; the other formats would show a student's markup.
    formats = {made["output_format"], *(test["output_format"] for test in tests)}
    assert formats | {test["name_format"] for test in tests} == {"text"}
    assert made["stdout_visibility"] == "hidden"


@pytest.mark.parametrize("status", STATUSES)
def test_results_have_the_documented_form(status):
    made = results(report(row("2.1", status), row("2.2")), seconds=1.234)
    assert_documented(made)
    first = made["tests"][0]
    assert (first["status"] == "passed") == (status == "passed")
    assert first["number"] == "2.1" and first["name"] == all_questions(2)[0].title
    assert made["execution_time"] == 1.2


@pytest.mark.parametrize("visibility", VISIBILITY)
def test_visibility_is_one_of_the_documented(visibility):
    made = results(report(), visibility=visibility)
    assert_documented(made)
    assert {made["visibility"], made["tests"][0]["visibility"]} == {visibility}


def test_results_of_hostile_students_have_the_documented_form():
    for each in hostile_class():
        assert_documented(results(each, 2))


def test_a_chapter_counts_whole_and_no_other_does():
    questions = all_questions(2)
    made = results(report(row("1.1"), row("2.1"), row("2.2", "wrong")), 2)
    assert [test["number"] for test in made["tests"]] == [q.id for q in questions]
    assert made["score"] == questions[0].points
    possible = sum(test["max_score"] for test in made["tests"])
    assert possible == sum(question.points for question in questions)
    assert "The notebook is not that of chapter 2." in made["tests"][2]["output"]


def test_results_say_what_a_student_has_to_know():
    trouble = "a.ipynb is not a notebook: it has no cells"
    made = results(report(row(), trouble=trouble, of_record=False), 2)
    assert f"{trouble}." in made["output"] and "no score of record" in made["output"]
    assert f"{trouble}." in made["tests"][1]["output"]
    odd = row(policy="not decidable", policy_message="Line 3: `getattr`.")
    assert "To look at by hand: Line 3" in results(report(odd))["tests"][0]["output"]
    assert "no score of record" not in results(report())["output"]


def test_the_signed_report_is_in_the_results():
    again = json.loads(json.dumps(results(report(), 2)))
    assert what_is_wrong(again["extra_data"]["report"], SEED) is None


@pytest.fixture(scope="module")
def archive():
    """An autograder's zip."""
    return autograder_zip(2, SEED)


def test_the_zip_has_what_gradescope_needs_at_its_root(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as content:
        modes = {
            info.filename: stat.S_IMODE(info.external_attr >> 16)
            for info in content.infolist()
        }
        assert content.testzip() is None
    assert modes["setup.sh"] == modes["run_autograder"] == 0o755
    assert modes["secret-seed"] == 0o600
    assert "course_lib/grading/worker.py" in modes and "README.md" in modes
    outside = ("tests", "solutions", "chapters", "exercises", ".git")
    assert not [name for name in modes if name.startswith(outside)]
    assert not [name for name in modes if "__pycache__" in name]


def test_the_zip_names_no_host_and_packages_by_name(archive):
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sorted(map(str.lower, requirements())) == sorted(
        map(str.lower, needed["dependencies"])
    )
    with zipfile.ZipFile(io.BytesIO(archive)) as content:
        for name in ("setup.sh", "run_autograder", "requirements.txt", "README.md"):
            assert "://" not in content.read(name).decode()


def test_the_same_seed_makes_the_same_zip(archive):
    assert autograder_zip(2, SEED) == archive
    assert autograder_zip(2, SEED, allow_unsandboxed=True) != archive


@pytest.mark.parametrize("name", ["setup.sh", "run_autograder"])
def test_scripts_are_right_bash(name):
    path = ROOT / "course_lib" / "grading" / "reports" / "container" / name
    subprocess.run(["bash", "-n", path], check=True)


def test_what_the_package_reads_is_in_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]
    folder = ROOT / "course_lib" / "grading" / "reports"
    names = [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert len(names) >= 10
    for name in names:
        assert any(fnmatch(name, p) for p in patterns["course_lib.grading.reports"])


SOFTMAX = """import numpy as np
def softmax(scores):
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)
"""
WHO = {"id": 5, "users": [{"id": 7, "name": "Ana"}, {"id": 8, "name": "Bo"}]}


@pytest.fixture
def container(tmp_path, archive):
    """Gradescope's container, with the zip unpacked: a function that grades in it."""
    for name in ("source", "submission", "results"):
        (tmp_path / name).mkdir()
    with zipfile.ZipFile(io.BytesIO(archive)) as content:
        content.extractall(tmp_path / "source")
    (tmp_path / "submission_metadata.json").write_text(json.dumps(WHO))

    def submit(**notebooks):
        for name, cells in notebooks.items():
            path = tmp_path / "submission" / f"{name}.ipynb"
            path.parent.mkdir(exist_ok=True)
            if cells is None:  # more than anybody reads
                with open(path, "wb") as file:
                    file.truncate(2**30)
            else:
                made = new_notebook(cells=list(map(new_code_cell, cells)))
                nbformat.write(made, path)

    def run(fails=False, path=os.environ["PATH"], **notebooks):
        submit(**notebooks)
        settings = {"AUTOGRADER_ROOT": tmp_path, "AUTOGRADER_PYTHON": sys.executable}
        bash = shutil.which("bash")
        done = subprocess.run(
            [bash, tmp_path / "source" / "run_autograder"],
            env=os.environ | settings | {"PATH": path},
            capture_output=True,
            text=True,
        )
        assert (done.returncode != 0) == fails, done.stderr
        return json.loads((tmp_path / "results" / "results.json").read_text())

    run.root, run.submit = tmp_path, submit
    return run


def test_a_submission_is_graded_by_the_package_in_the_zip(container):
    path = next((container.root / "source").rglob("chapter_02*.py"))
    path = (
        container.root / "source" / "course_lib" / "grading" / "questions" / path.name
    )
    assert "points=2" in path.read_text()
    path.write_text(path.read_text().replace("points=2", "points=77", 1))
    made = container(a=[SOFTMAX])
    assert_documented(made)
    assert made["score"] == 77 and len(made["tests"]) == len(all_questions(2))
    graded = made["extra_data"]["report"]
    assert mistake(graded, "report") is None and what_is_wrong(graded, SEED) is None
    assert (graded["student"], graded["student_id"]) == ("Ana and Bo", "7+8")
    for name in ("submission", "submission_metadata.json", "results"):
        assert (container.root / name).stat().st_mode & 0o077 == 0


def test_the_last_word_on_the_results_is_the_graders(container):
    path = container.root / "results" / "results.json"
    path.write_text('{"score": 16, "output": "forged"}')
    forge = f"""
try:
    with open({str(path)!r}, "w") as file:
        file.write('{{"score": 16, "output": "forged"}}')
except OSError:
    pass
"""
    made = container(a=[forge, SOFTMAX])
    assert made["score"] == 2 and "forged" not in made["output"]


def without_namespaces(folder):
    """A PATH on which no program makes namespaces."""
    folder.mkdir()
    for name in ("rm", "cat", "sh", "setpriv"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return str(folder)


def test_without_a_sandbox_the_results_say_so(container):
    made = container(path=without_namespaces(container.root / "bin"), a=[SOFTMAX])
    assert made["score"] == 2 and "This is no score of record" in made["output"]
    graded = made["extra_data"]["report"]
    assert graded["sandbox"] in ("user", "plain") and graded["of_record"] is False


def test_an_instructor_may_let_such_scores_count(container):
    settings = container.root / "source" / "settings.json"
    settings.write_text(
        settings.read_text().replace(
            '"allow_unsandboxed": false', '"allow_unsandboxed": true'
        )
    )
    made = container(path=without_namespaces(container.root / "bin"), a=[SOFTMAX])
    assert "no score of record" not in made["output"]
    assert made["extra_data"]["report"]["of_record"] is True


@pytest.mark.parametrize(
    "notebooks, score, says",
    [
        ({}, 0, "there is no notebook (.ipynb) in this submission."),
        ({"a": [SOFTMAX], "b": [SOFTMAX]}, 0, "there are 2 notebooks (a.ipynb, b.ipy"),
        ({"02_x": [SOFTMAX], "b": []}, 2, "Graded: 02_x.ipynb"),
        ({"deep/02_x": [SOFTMAX]}, 2, "Graded: deep/02_x.ipynb"),
        ({"02_x": None}, 0, "02_x.ipynb is larger than 50 MB."),
    ],
    ids=["none", "two", "two, one named", "in a folder", "unreadable"],
)
def test_which_notebook_counts(container, monkeypatch, notebooks, score, says):
    container.submit(**notebooks)
    (container.root / "submission_metadata.json").unlink()
    monkeypatch.setenv("AUTOGRADER_ROOT", str(container.root))
    in_gradescope.main()
    made = json.loads((container.root / "results" / "results.json").read_text())
    assert_documented(made)
    assert made["score"] == score and says in made["output"]
    assert len(made["tests"]) == len(all_questions(2))
    assert made["extra_data"]["report"]["student"] == ""


def test_if_the_grader_fails_the_results_say_so(container):
    (container.root / "source" / "secret-seed").unlink()
    (container.root / "results" / "results.json").write_text('{"score": 16}')
    made = container(fails=True, a=[SOFTMAX])
    Draft202012Validator(DOCUMENTED).validate(made)
    assert made["score"] == 0 and "The grader itself failed" in made["output"]


def command(*arguments):
    """Run `attention-course export gradescope`; exit code and what it printed."""
    result = CliRunner().invoke(main, ["export", "gradescope", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_command_writes_results_and_zip(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(report()))
    code, output = command("--results", tmp_path / "a.json")
    assert code == 0 and json.loads(output) == results(report())
    code, _ = command("--results", tmp_path / "a.json", "--chapter", 2, "-o",
                      tmp_path / "results.json")  # fmt: skip
    assert code == 0
    written = json.loads((tmp_path / "results.json").read_text())
    assert written == results(report(), 2)
    path = tmp_path / "autograder.zip"
    code, output = command("--zip", path, "--chapter", 2, "--allow-unsandboxed")
    assert code == 0 and "chapter 2, 16 points" in output
    assert path.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(path) as content:
        settings = json.loads(content.read("settings.json"))
        first = content.read("secret-seed")
    assert settings["allow_unsandboxed"] is True and int(first) > 2**64
    (tmp_path / "seed").write_bytes(first)
    command("--zip", path, "--chapter", 2, "--seed-file", tmp_path / "seed")
    with zipfile.ZipFile(path) as content:
        assert content.read("secret-seed") == first
    command("--zip", path, "--chapter", 2)
    with zipfile.ZipFile(path) as content:
        assert content.read("secret-seed") != first


def test_command_is_kind_about_mistakes(tmp_path):
    (tmp_path / "two.json").write_text(json.dumps([report(), report()]))
    (tmp_path / "one.json").write_text(json.dumps(report()))
    for arguments, says in [
        ([], "give --results REPORT, or --zip PATH"),
        (["--zip", tmp_path / "a.zip"], "needs --chapter N"),
        (["--zip", tmp_path / "a.zip", "--chapter", 99], "chapter 99 has no exercises"),
        (["--results", tmp_path / "two.json"], "should be one report"),
        (["--results", tmp_path / "no.json"], "there is no file"),
        (["--results", tmp_path / "one.json", "--allow-unsandboxed"], "are for --zip"),
        (["--zip", tmp_path / "a" / "a.zip", "--chapter", 2], "Error: cannot write"),
        (
            ["--zip", tmp_path / "a.zip", "--chapter", 2, "--seed-file", tmp_path],
            "is a directory",
        ),
        (
            ["--zip", tmp_path / "a.zip", "--chapter", 2, "--seed-file"]
            + [tmp_path / "one.json"],
            "holds no seed",
        ),
    ]:
        code, output = command(*arguments)
        assert code != 0 and says in output, output
    assert not (tmp_path / "a.zip").exists()
