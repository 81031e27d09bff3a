"""Binder, Colab and Codespaces: what leads there, and what is found there.

The files agree with each other in every run. That an environment made from them runs a
chapter takes minutes and a network, so it is asked for: `pytest -m environments`.
"""

import json
import os
import re
import shutil
import subprocess
import tomllib
import venv
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tools import notebooks, setup

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REPOSITORY = PROJECT["project"]["urls"]["Repository"]
SLUG = urlsplit(REPOSITORY).path.strip("/")
BRANCH = "main"
BINDER = f"https://mybinder.org/v2/gh/{SLUG}/{BRANCH}?urlpath=lab/tree/"
COLAB = f"https://colab.research.google.com/github/{SLUG}/blob/{BRANCH}/"
NOTEBOOKS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("chapters", "exercises", "solutions")
    for path in (ROOT / folder).glob("*.ipynb")
)
PUBLISHED = [name for name in NOTEBOOKS if not name.startswith("solutions/")]
EXAMPLE = "02_query_key_value"


def code_cells(name):
    """The code cells of a committed notebook."""
    notebook = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def bootstrap(name):
    """The text of a notebook's first code cell, which installs the course."""
    return "".join(code_cells(name)[0]["source"])


# Links and first cells ----------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_page_launches_its_own_notebook_from_the_configured_repository(html, name):
    fork = os.environ.get("GITHUB_REPOSITORY", SLUG)
    branch = os.environ.get("COURSE_BRANCH", BRANCH)
    page = (html / name).with_suffix(".html").read_text(encoding="utf-8")
    links = re.findall(r'href="(https://(?:mybinder|colab)[^"]+)"', page)
    assert set(links) == {
        f"https://mybinder.org/v2/gh/{fork}/{branch}?urlpath=lab/tree/{name}",
        f"https://colab.research.google.com/github/{fork}/blob/{branch}/{name}",
    }


@pytest.mark.parametrize("name", ["README.md", "index.md"])
def test_the_front_pages_launch_notebooks_that_are_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for start in (BINDER, COLAB):
        for path in re.findall(re.escape(start) + r"([^\s)\"]+)", text):
            assert path in PUBLISHED
    every = re.findall(
        r"https://(?:mybinder\.org/v2|colab\.\w+\.google\.com/github)/[^\s)\"]+", text
    )
    assert all(link.startswith((BINDER, COLAB)) for link in every)
    assert every or name == "index.md"


def test_the_readme_leads_to_a_codespace_of_the_repository():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"https://codespaces\.new/[\w./-]+", readme) == [
        f"https://codespaces.new/{SLUG}"
    ]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_first_cell_installs_the_course_from_the_configured_repository(name):
    text = bootstrap(name)
    assert text == notebooks.BOOTSTRAP.format(repository=REPOSITORY)
    (package,) = re.findall(r'find_spec\("(\w+)"\) is None', text)
    assert (ROOT / package / "__init__.py").exists()
    assert re.findall(r"git\+(\S+?)@(\w+)\"", text) == [(REPOSITORY, BRANCH)]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_first_cell_names_no_version_and_no_torch_to_install(name):
    command = bootstrap(name).split("check_call(")[1]
    assert not re.search(r"torch|numpy|==|upgrade|-U|force", command)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_asks_for_the_kernel_that_every_place_has(name):
    metadata = json.loads((ROOT / name).read_text(encoding="utf-8"))["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"


def test_the_course_as_colab_installs_it_leaves_torch_and_the_numpy_there_alone():
    wanted = PROJECT["project"]["dependencies"]
    names = [re.match(r"[\w-]+", each)[0] for each in wanted]
    assert "torch" not in names
    for each in wanted:  # a lower bound alone: what is newer stays
        assert re.fullmatch(r"[\w-]+>=[\d.]+", each), each


# The files of Binder and of Codespaces ------------------------------------------------


def binder_requirements():
    """The lines of binder/requirements.txt that say something."""
    text = (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and line[0] != "#"]


def test_binder_installs_the_course_with_its_extras_at_the_pinned_versions():
    index, constraints, course = binder_requirements()
    assert index.startswith("--extra-index-url https://")
    option, path = constraints.split()
    assert option == "-c" and (ROOT / "binder" / path).resolve().is_relative_to(ROOT)
    assert (ROOT / "binder" / path).exists()
    extras = re.fullmatch(r"\.\[([\w,]+)\]", course)[1].split(",")
    assert set(extras) <= set(PROJECT["project"]["optional-dependencies"])
    assert {"torch", "notebooks", "pretrained"} <= set(extras)


def test_binders_python_is_one_that_the_course_promises():
    version = (ROOT / "binder" / "runtime.txt").read_text(encoding="utf-8").strip()
    assert re.fullmatch(r"python-3\.(11|12|13)", version)
    assert PROJECT["project"]["requires-python"] == ">=3.11"


@pytest.mark.parametrize("name", ["binder/postBuild", ".devcontainer/create"])
def test_a_script_can_be_run_and_the_files_it_names_are_there(name):
    script = ROOT / name
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    named = re.findall(r"(?:-r|python3) (?!-)(\S+)", script.read_text("utf-8"))
    assert named and all((ROOT / path).exists() for path in named)


def test_the_container_of_codespaces_fits_the_course():
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    container = json.loads(text)
    assert re.search(r"/python:3\.(11|12|13)-", container["image"])
    (path,) = re.findall(r"^bash (\S+)$", container["postCreateCommand"])
    assert (ROOT / path).exists()
    (port,) = container["forwardPorts"]
    assert f"PORT ?= {port}" in (ROOT / "Makefile").read_text(encoding="utf-8")
    python = container["customizations"]["vscode"]["settings"]
    relative = setup.PYTHON.relative_to(ROOT)
    assert python == {
        "python.defaultInterpreterPath": f"${{containerWorkspaceFolder}}/{relative}"
    }


# Fresh environments -------------------------------------------------------------------

RUN_CELLS = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code" and "torch" not in cell["metadata"].get("tags", []):
        shell.run_cell("".join(cell["source"])).raise_error()
print("ran to the end")
"""
# What Colab had in November 2025, of what the course uses: older than our own pins.
COLAB_HAS = {"numpy": "2.0.2", "matplotlib": "3.10.0", "scikit-learn": "1.6.1"}
COLAB_TORCH = "2.8.0"  # a stand-in: to pip, a package is what its metadata says


@pytest.fixture
def copy(tmp_path):
    """The committed files alone, as Binder and Colab get them."""
    folder = tmp_path / "course"
    folder.mkdir()
    archive = subprocess.run(
        ["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True
    )
    subprocess.run(["tar", "x"], cwd=folder, input=archive.stdout, check=True)
    return folder


class Environment:
    """A virtual environment of its own."""

    def __init__(self, folder):
        venv.create(folder, with_pip=True)
        self.bin = folder / "bin"

    def run(self, *command, cwd, **variables):
        """Run a program of it; gives what it said, and fails if it fails."""
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [shutil.which(command[0], path=path), *command[1:]],
            cwd=cwd,
            env=os.environ
            | {"PATH": path, "PYTHONPATH": "", "MPLBACKEND": "agg"}
            | variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    def packages(self, cwd):
        """{name: version} of what is installed."""
        listed = self.run("pip", "list", "--format=json", cwd=cwd)
        return {each["name"].lower(): each["version"] for each in json.loads(listed)}


@pytest.mark.environments
def test_an_environment_from_binders_files_runs_a_chapter_and_an_exercise(
    copy, tmp_path
):
    binder = Environment(tmp_path / "binder")
    requirements = copy / "binder" / "requirements.txt"
    without_index = requirements.read_text("utf-8").split("\n")
    without_index = [line for line in without_index if "--extra-index" not in line]
    requirements.write_text("\n".join(without_index), "utf-8")
    binder.run("pip", "install", "-q", "-r", "binder/requirements.txt", cwd=copy)
    binder.run("bash", "binder/postBuild", cwd=copy)
    installed = binder.packages(copy)
    pins = (copy / "requirements.txt").read_text("utf-8")
    for name in ("torch", "numpy", "anywidget", "ipykernel"):
        assert f"{name}=={installed[name].split('+')[0]}\n" in pins
    for folder in ("chapters", "solutions"):  # the exercise with its answers
        (copy / "course_lib").rename(copy / "hidden")  # what runs is what was installed
        binder.run(
            *("jupyter", "execute", "--inplace", f"{EXAMPLE}.ipynb"), cwd=copy / folder
        )
        (copy / "hidden").rename(copy / "course_lib")
    code = "from course_lib.pretrained.minilm import load_minilm as f; print(f()[1])"
    assert "Tokenizer" in binder.run("python", "-c", code, cwd=tmp_path)
    code = "from course_lib.widgets import AttentionHeatmap as A; print(A.of_minilm())"
    assert "AttentionHeatmap" in binder.run("python", "-c", code, cwd=tmp_path)


@pytest.mark.environments
def test_in_an_environment_like_colabs_the_first_cell_changes_nothing_that_is_there(
    copy, tmp_path
):
    colab = Environment(tmp_path / "colab")
    there = [f"{name}=={version}" for name, version in COLAB_HAS.items()]
    colab.run("pip", "install", "-q", "ipython", *there, cwd=tmp_path)
    (site_packages,) = (tmp_path / "colab" / "lib").glob("python*/site-packages")
    metadata = site_packages / f"torch-{COLAB_TORCH}+cu126.dist-info"
    metadata.mkdir()
    text = f"Metadata-Version: 2.1\nName: torch\nVersion: {COLAB_TORCH}+cu126\n"
    (metadata / "METADATA").write_text(text, "utf-8")
    before = colab.packages(tmp_path)
    assert before.items() >= COLAB_HAS.items() and COLAB_TORCH in before["torch"]
    notebook = copy / "solutions" / f"{EXAMPLE}.ipynb"
    alone = tmp_path / "content"  # Colab has the notebook and no other file
    alone.mkdir()
    notebook = notebook.rename(alone / notebook.name)
    script = alone / "run_cells.py"
    script.write_text(RUN_CELLS, "utf-8")
    said = colab.run(
        *("python", script.name, notebook.name), cwd=alone, COURSE_LIB_SPEC=str(copy)
    )
    assert said.endswith("ran to the end\n")
    after = colab.packages(tmp_path)
    assert "attention-course" in after and "attention-course" not in before
    assert {name: after.get(name) for name in before} == before
