"""Build every notebook from its percent source: `python tools/notebooks.py [NAME ...]`.

chapters/NAME.py   -> chapters/NAME.ipynb, executed
solutions/NAME.py  -> solutions/NAME.ipynb, executed, and exercises/NAME.ipynb, stubs

One way only: the `.py` is the source. A second run changes nothing. The address of the
course goes from `pyproject.toml` into the notebooks, README.md and CITATION.cff.
"""

import os
import re
import sys
import textwrap
import tomllib
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from course_lib.grading.question import grade_metadata, prose
from course_lib.grading.questions import load

ROOT = Path(__file__).resolve().parent.parent
SOLUTION = re.compile(
    r"^([ ]*)### BEGIN SOLUTION\n.*?^[ ]*### END SOLUTION\n?", re.MULTILINE | re.DOTALL
)
ADDRESS = re.compile(  # where each host writes OWNER/REPO
    r"(//github\.com/|//codespaces\.new/|mybinder\.org/v2/gh/"
    r"|research\.google\.com/github/)[\w.-]+/[\w.-]+"
)
STAMPED = [ROOT / "README.md", ROOT / "CITATION.cff"]
STUB = 'raise NotImplementedError("your code here")'
BOOTSTRAP = """\
# Outside a copy of the course (in Colab, say): install it. A torch that is there stays.
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("course_lib") is None:
    spec = os.environ.get("COURSE_LIB_SPEC", "git+{repository}@main")
    subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", spec])"""


def repository():
    """The course's address, from its one home in pyproject.toml."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]["urls"]["Repository"]


def stamp(text):
    """A text with every mention of the course's address brought up to date."""
    owner_and_name = "/".join(repository().rstrip("/").split("/")[-2:])
    return ADDRESS.sub(rf"\g<1>{owner_and_name}", text)


def sources(names=()):
    """The percent sources, all or those whose file name is among `names`."""
    found = sorted([*ROOT.glob("chapters/*.py"), *ROOT.glob("solutions/*.py")])
    missing = set(names) - {path.stem for path in found}
    if missing:
        known = ", ".join(sorted({path.stem for path in found}))
        raise SystemExit(f"no notebook is called {min(missing)}: there are {known}")
    return [path for path in found if not names or path.stem in names]


def compose(source):
    """The notebook of a percent source, not yet executed.

    Question prose and grading metadata come from `course_lib.grading`, the bootstrap
    cell from this file, cell ids from position.
    """
    notebook = jupytext.read(source, fmt="py:percent")
    bootstrap = nbformat.v4.new_code_cell(BOOTSTRAP.format(repository=repository()))
    bootstrap.metadata["tags"] = ["remove-cell"]
    notebook.cells.insert(1, bootstrap)
    question = None
    for position, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{position:03}"
        question = _grading(cell, question)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    if any("torch" in cell.metadata.get("tags", []) for cell in notebook.cells):
        notebook.metadata["accelerator"] = "GPU"
        notebook.metadata["colab"] = {"gpuType": "T4"}
    return notebook


def _grading(cell, question):
    """Fill in what belongs to a question; returns the question the next cell is in."""
    marker = re.fullmatch(r"\{\{ question (\S+) \}\}", cell.source)
    if marker:
        question = load(marker[1])
        cell.source = prose(question)
        cell.metadata.update(grade_metadata(question, "text"))
    elif cell.cell_type == "code" and "### BEGIN SOLUTION" in cell.source:
        cell.metadata.update(grade_metadata(question, "answer"))
    elif cell.source.startswith("check("):
        cell.metadata.update(grade_metadata(question, "check"))
        cell.metadata["tags"] = ["nbval-check-output"]
    return question


def exercise(solution, answered=()):
    """A copy of a composed solution with stubs where the answers were.

    Args:
        solution: what `compose` returned
        answered: ids of the questions that keep their answer
    """
    notebook = nbformat.from_dict(solution)
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if grade_id not in {f"q{id.replace('.', '-')}-answer" for id in answered}:
            cell.source = SOLUTION.sub(rf"\g<1>{STUB}\n", cell.source).rstrip("\n")
        if "nbval-check-output" in cell.metadata.get("tags", []):
            del cell.metadata["tags"]
    return notebook


def execute(notebook, folder):
    """Run a composed notebook in place on one CPU thread and tidy what it shows."""
    os.environ.update(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="", TQDM_DISABLE="1")
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=True,
        timeout=600,
    )
    client.execute()
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        _take_alt_text(cell)
    return _renumber_widgets(notebook)


def _take_alt_text(cell):
    """Put the alt text of a figure where the book looks for it."""
    for output in cell.get("outputs", []):
        for image in output.get("metadata", {}).values():
            if "alt" in image:
                cell.metadata["mystnb"] = {"image": {"alt": image["alt"]}}


def _renumber_widgets(notebook):
    """Replace random widget model ids by their position, so that a rerun is equal."""
    text = nbformat.writes(notebook)
    for number, model in enumerate(notebook.metadata.get("widgets", {}).values()):
        for position, name in enumerate(model["state"]):
            text = text.replace(name, f"{number:016x}{position:016x}")
    return nbformat.reads(text, as_version=4)


def write(notebook, path):
    """Write a notebook in the one form that is committed."""
    path.parent.mkdir(exist_ok=True)
    nbformat.validate(notebook)
    nbformat.write(notebook, path, version=nbformat.NO_CONVERT)
    print(f"built {path.relative_to(ROOT)}", flush=True)


def main(names):
    """Build the notebooks called `names`, or all."""
    for path in STAMPED:
        path.write_text(stamp(path.read_text("utf-8")), "utf-8")
    for source in sources(names):
        notebook = compose(source)
        if source.parent.name == "solutions":
            write(exercise(notebook), ROOT / "exercises" / f"{source.stem}.ipynb")
        try:
            write(execute(notebook, source.parent), source.with_suffix(".ipynb"))
        except CellExecutionError as error:
            reason = textwrap.shorten(f"{error.ename}: {error.evalue}", 300)
            raise SystemExit(
                f"{source.relative_to(ROOT)} stopped at {reason}"
            ) from None


if __name__ == "__main__":
    main(sys.argv[1:])
