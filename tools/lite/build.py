"""Build the browser notebooks into a built book: JupyterLite, in its folder `lite`."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tools import vendor
from tools.lite import copies, files, lock, packages

CONFIG = vendor.SITE / "lite"
FOLDER, STATE = "lite", "lite.json"
MAKERS = ["jupyterlite-core", "jupyterlite-pyodide-kernel", "doit", "pkginfo"]
EXTENSIONS = ["jupyterlite-pyodide-kernel", "jupyterlab-widgets", "anywidget"]
KERNEL_WHEELS = ["ipykernel", "pyodide_kernel", "piplite"]  # inside the kernel's own
KERNEL = "@jupyterlite/pyodide-kernel-extension:kernel"
PAGES = ["index.html", "notebooks/index.html", "tree/index.html"]


def build(html):
    """Build the browser notebooks into the book of the folder `html`.

    Meanwhile and in the end, `lite.json` tells the pages of the book how it is.
    """
    colab = colab_address(html)
    if not is_ready(html):
        tell(html, state="building")
    try:
        tell(html, state="ready", **place(html, colab))
    finally:
        if not is_ready(html):
            tell(html, state="missing")


def tell(html, **state):
    """Say to the pages of the book how it is with the browser notebooks."""
    (html / STATE).write_text(json.dumps(state))


def is_ready(html):
    """Whether the pages of the book say that the browser notebooks are there."""
    path = html / STATE
    return path.exists() and json.loads(path.read_text())["state"] == "ready"


def place(html, colab):
    """Put the browser notebooks into the book's folder; gives what they weigh.

    Args:
        html:  the book's folder
        colab: address of the course in Colab
    """
    locked = files.read_lock()
    files.fetch(locked)
    config = json.loads((CONFIG / "jupyter-lite.json").read_text())
    plugins = config["jupyter-config-data"]["litePluginSettings"]
    preloaded = plugins[KERNEL]["loadPyodideOptions"]["packages"]
    with tempfile.TemporaryDirectory(dir=html.parent) as folder:
        made = assemble(locked, preloaded, colab, Path(folder))
        weights = sizes(made, locked, preloaded)
        shutil.rmtree(html / FOLDER, ignore_errors=True)
        os.replace(made, html / FOLDER)
    return weights


def colab_address(html):
    """The course's address in Colab, as the book has it; a path goes behind it."""
    for path in copies.notebooks():
        page = html / path.relative_to(files.ROOT).with_suffix(".html")
        if not page.exists():
            raise SystemExit(f"{html} holds no book, or an old one: build it first.")
        found = re.search(r'"(https://colab\.[^"]+)/\w+/\w+\.ipynb"', page.read_text())
        if found:
            return found[1]
    raise SystemExit(f"No page of {html} has a link to Colab: build the book anew.")


def assemble(locked, preloaded, colab, folder):
    """Make the site of the browser notebooks in a folder; gives its own folder.

    Args:
        locked:    what the lock says
        preloaded: names of the packages that are there before a cell runs
        colab:     address of the course in Colab
        folder:    an empty one, for all that is made
    """
    wheels = {
        file["name"]: files.CACHE / name for name, file in locked["files"].items()
    }
    tools, source, made = folder / "tools", folder / "source", folder / "made"
    for name in MAKERS:
        with zipfile.ZipFile(wheels[name]) as archive:
            archive.extractall(tools)
    bundled = [
        wheel for name in KERNEL_WHEELS for wheel in tools.rglob(f"pypi/{name}-*")
    ]
    shutil.copytree(CONFIG, source)
    packages.gather(locked, bundled, preloaded, source / "static" / "pyodide")
    copies.write(source / "content", colab)
    write_config(source, [str(wheels[name]) for name in EXTENSIONS])
    run_jupyterlite(tools, source, made)
    for name in PAGES:
        mend(made / name)
    return made


def write_config(source, extensions):
    """Say to JupyterLite what differs from one machine to the next."""
    path = source / "jupyter_lite_config.json"
    config = json.loads(path.read_text())
    config["LiteBuildConfig"]["federated_extensions"] = extensions
    path.write_text(json.dumps(config))


def run_jupyterlite(tools, source, made):
    """Let JupyterLite build, from the wheels of the lock alone."""
    command = [sys.executable, "-m", "jupyterlite_core", "build"]
    done = subprocess.run(
        [*command, "--output-dir", made],
        cwd=source,
        env=os.environ | {"PYTHONPATH": str(tools)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        end = "\n".join(said[-5:]) or "nothing"
        raise SystemExit(f"JupyterLite does not build; it says:\n{end}")


def mend(page):
    """Give a page of JupyterLite its language and the course's icon."""
    text = page.read_text("utf-8")
    icon = '<link rel="icon" href="../../_static/favicon.svg" />'
    text = text.replace("<html>", '<html lang="en">')
    page.write_text(text.replace("</title>", f"</title>{icon}", 1), "utf-8")


def sizes(made, locked, preloaded):
    """What the browser has to download, at most, in bytes without any compression.

    Returns:
        {"start": up to the first answer, "figures": for the first figure besides}.
    """
    pyodide = made / "static" / "pyodide"
    listed = json.loads((pyodide / packages.LIST).read_text())["packages"]
    start = set(lock.closure(listed, preloaded))
    figures = set(lock.closure(listed, ["matplotlib"])) - start
    core = [n for n, file in locked["files"].items() if "npm" in file["from"]]
    scripts = [*made.glob("build/**/*.js"), *made.glob("extensions/**/*.js")]

    def total(names):
        return sum((pyodide / name).stat().st_size for name in names)

    return {
        "start": total([*core, *scripts, *(listed[n]["file_name"] for n in start)]),
        "figures": total(listed[n]["file_name"] for n in figures),
    }
