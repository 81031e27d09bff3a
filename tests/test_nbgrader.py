"""An instructor can use nbgrader on the same files: its own tools read them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course_lib.grading.questions import load
from tools import notebooks

SOLUTIONS = [path for path in notebooks.sources() if path.parent.name == "solutions"]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Student versions of every solution, made by nbgrader."""
    course = tmp_path_factory.mktemp("course")
    scripts = str(Path(sys.executable).parent)  # nbgrader calls alembic by name
    environment = os.environ | {"PATH": scripts + os.pathsep + os.environ["PATH"]}
    for source in SOLUTIONS:
        folder = course / "source" / source.stem
        folder.mkdir(parents=True)
        shutil.copy(source.with_suffix(".ipynb"), folder)
        command = [sys.executable, "-m", "nbgrader", "generate_assignment", source.stem]
        run = subprocess.run(
            [*command, "--create"],
            cwd=course,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
    return course / "release"


@pytest.mark.parametrize("source", SOLUTIONS, ids=lambda path: path.stem)
def test_nbgrader_makes_an_assignment_of_our_solutions(source, release):
    made = nbformat.read(release / source.stem / f"{source.stem}.ipynb", as_version=4)
    graded, answers = {}, []
    for cell in made.cells:
        info = cell.metadata.get("nbgrader", {})
        if info.get("grade"):
            graded[info["grade_id"]] = info["points"]
            assert info["locked"] and cell.source.startswith("check(")
        elif info.get("solution"):
            answers.append(info["grade_id"])
            assert "raise NotImplementedError" in cell.source
            assert "SOLUTION" not in cell.source
    ids = [grade_id.replace("q", "").replace("-", ".") for grade_id in graded]
    assert graded and list(graded.values()) == [load(id).points for id in ids]
    assert answers == [f"{grade_id}-answer" for grade_id in graded]
