"""The committed notebooks: what their sources say, executed, honest and readable."""

import ast
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
import pytest

from tools import notebooks

SOURCES = notebooks.sources()
CHAPTERS = [path for path in SOURCES if path.parent.name == "chapters"]
SOLUTIONS = [path for path in SOURCES if path.parent.name == "solutions"]
EXECUTED = [path.with_suffix(".ipynb") for path in SOURCES]
EXERCISES = [notebooks.ROOT / "exercises" / f"{path.stem}.ipynb" for path in SOLUTIONS]


def name(path):
    """chapters/02_query_key_value, for readable test ids."""
    return f"{path.parent.name}/{path.stem}"


def read(path):
    return nbformat.read(path, as_version=4)


def comparable(notebook):
    """What a source decides: cells and metadata, without what execution adds."""
    kept = []
    for cell in notebook.cells:
        metadata = {k: v for k, v in cell.metadata.items() if k != "mystnb"}
        kept.append((cell["id"], cell.cell_type, cell.source, metadata))
    metadata = {k: v for k, v in notebook.metadata.items() if k != "widgets"}
    return kept, metadata


@pytest.mark.parametrize("source", SOURCES, ids=name)
def test_a_notebook_says_what_its_source_says(source):
    committed = read(source.with_suffix(".ipynb"))
    assert comparable(committed) == comparable(notebooks.compose(source)), (
        f"{name(source)}.ipynb differs from its .py: run `make notebooks`"
    )


@pytest.mark.parametrize("source", SOLUTIONS, ids=name)
def test_exercises_are_the_solutions_without_the_answers(source):
    committed = read(notebooks.ROOT / "exercises" / f"{source.stem}.ipynb")
    assert committed == notebooks.exercise(notebooks.compose(source))
    text = json.dumps(committed)
    assert "### BEGIN SOLUTION" not in text
    assert not any(cell.get("outputs") for cell in committed.cells)


def test_every_exercise_has_a_solution():
    built = sorted(notebooks.ROOT.glob("exercises/*.ipynb"))
    assert built == EXERCISES


@pytest.mark.parametrize("path", EXECUTED, ids=name)
def test_every_cell_ran_without_error_and_left_no_trace_of_the_machine(path):
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        assert cell.execution_count is not None, f"cell {cell['id']} never ran"
        assert "execution" not in cell.metadata, "timings change on each run"
        kinds = {output.output_type for output in cell.outputs}
        assert "error" not in kinds, f"cell {cell['id']} failed"
        streams = [out.get("name") for out in cell.outputs]
        assert "stderr" not in streams, f"cell {cell['id']} wrote to stderr"
    assert notebook.metadata["language_info"] == {"name": "python"}
    assert str(Path.home()) not in path.read_text()


@pytest.mark.parametrize("path", EXECUTED, ids=name)
def test_every_figure_has_alt_text(path):
    for cell in read(path).cells:
        for output in cell.get("outputs", []):
            if any(mime.startswith("image/") for mime in output.get("data", {})):
                alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
                assert len(alt.split()) >= 5, f"cell {cell['id']}: figure with no alt"


@pytest.mark.parametrize("source", SOURCES, ids=name)
def test_only_tagged_cells_need_torch(source):
    for cell in notebooks.compose(source).cells:
        if cell.cell_type != "code" or "torch" in cell.metadata.get("tags", []):
            continue
        imported = {
            name
            for node in ast.walk(ast.parse(cell.source))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for name in [getattr(node, "module", None), *(a.name for a in node.names)]
            if name
        }
        heavy = [n for n in imported if {"torch", "in_torch"} & set(n.split("."))]
        assert not heavy, f"{cell['id']} imports {heavy}: tag it torch"


@pytest.mark.parametrize("source", CHAPTERS, ids=name)
def test_a_cell_fits_in_the_eye(source):
    limits = {"hide-input": 25, "remove-cell": 25}  # folded away, or not shown
    for cell in notebooks.compose(source).cells:
        code = [line for line in cell.source.splitlines() if line.strip()]
        tags = cell.metadata.get("tags", [])
        limit = max([limits.get(tag, 15) for tag in tags], default=15)
        if cell.cell_type == "code":
            assert len(code) <= limit, f"{cell['id']} has {len(code)} lines"


def failed_cells(path, tmp_path):
    """Numbers of the code cells that nbval fails, counted from 0."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", str(path), "--nbval-lax"]
    command += ["--nbval-current-env", "-q", f"--junitxml={report}"]
    command += ["-c", str(tmp_path / "pytest.ini"), "-p", "no:cacheprovider"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=path.parent)
    assert report.exists(), run.stdout + run.stderr
    cases = ET.parse(report).getroot().findall(".//testcase")
    code = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert len(cases) == len(code), run.stdout
    broken = {number for number, case in enumerate(cases) if len(case)}
    assert run.returncode == (1 if broken else 0), run.stdout
    return broken, run.stdout


def check_cells(notebook):
    """{question id: number of its check cell among the code cells}."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {
        cell.source.split('"')[1]: number
        for number, cell in enumerate(code)
        if cell.source.startswith("check(")
    }


@pytest.mark.parametrize("path", EXECUTED, ids=name)
def test_notebooks_run_again_with_the_same_verdicts(path, tmp_path):
    broken, report = failed_cells(path, tmp_path)
    assert not broken, report


@pytest.mark.parametrize("source", SOLUTIONS, ids=name)
def test_check_outputs_are_stored_to_be_compared(source):
    checks = [
        cell
        for cell in read(source.with_suffix(".ipynb")).cells
        if cell.source.startswith("check(")
    ]
    assert checks
    for cell in checks:
        assert cell.outputs and "nbval-check-output" in cell.metadata["tags"]
        assert "passed" in json.dumps(cell.outputs)


@pytest.mark.parametrize("source", SOLUTIONS, ids=name)
@pytest.mark.parametrize("share", ["nothing", "half"])
def test_exactly_the_open_questions_fail(source, share, tmp_path):
    solution = notebooks.compose(source)
    checks = check_cells(solution)
    answered = list(checks)[::2] if share == "half" else []
    path = tmp_path / source.with_suffix(".ipynb").name
    nbformat.write(notebooks.exercise(solution, answered), path)
    broken, report = failed_cells(path, tmp_path)
    expected = {cell for id, cell in checks.items() if id not in answered}
    assert broken == expected, report
