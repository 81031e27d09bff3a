"""What a worker sees of the machine: Python, and the course without its answers."""

import os
import shutil
import site
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIBRARY = HERE.parent
COURSE = "/course"  # in the view: course_lib without its grading, and the worker
SCRATCH = "/tmp"  # in the view: the one folder to write to  # noqa: S108
SCRATCH_BYTES = 64 * 2**20
WORKER = "worker.py"
COPIED = (WORKER, "calling.py", "magics.py")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SETTINGS = ("/etc/alternatives", "/etc/ld.so.cache")


def packages():
    """The folders of installed packages, where NumPy is."""
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return [folder for folder in folders if os.path.isdir(folder)]


def placed(path):
    """Where in the view `path` is: where it is, but nothing of ours is in SCRATCH."""
    return f"/python{path}" if Path(path).is_relative_to(SCRATCH) else path


def python():
    """Where this Python is in the view."""
    path = sys.executable
    if placed(path) != path:  # its folder moves, but what it is a link to mostly not
        path = os.path.realpath(path)
    return placed(path)


def hidden_places():
    """Folders that no worker may see: questions and answers, tests, solutions."""
    own = LIBRARY.parent
    beside = () if str(own) in packages() else ("tests", "solutions")  # if a checkout
    return [str(HERE), *(str(own / name) for name in beside)]


def view():
    """What a worker sees, as a list of (kind, source, target), outer folders first.

    Kinds are "read" (a folder, read-only), "file" (too), "link" and "empty" (a folder).
    """
    steps = []
    for path in SYSTEM:
        if os.path.islink(path):
            steps.append(("link", os.readlink(path), path))
        elif os.path.isdir(path):
            steps.append(("read", path, path))
    own = str(LIBRARY.parent)
    installed = own in packages()  # and not a checkout
    for path in sorted({sys.base_prefix, sys.prefix, *packages(), own}, key=len):
        if path == own and not installed:
            place = placed(own)
            steps += [("empty", "", place)] if _in_view(place, steps) else []
        elif not _in_view(placed(path), steps):
            steps.append(("read", path, placed(path)))
    if installed:
        steps.append(("empty", "", placed(str(LIBRARY))))
    for path in filter(os.path.exists, SETTINGS):
        steps.append(("read" if os.path.isdir(path) else "file", path, path))
    grading = f"{COURSE}/course_lib/grading"
    steps += [
        ("read", str(LIBRARY), f"{COURSE}/course_lib"),
        ("empty", "", grading),
        ("file", str(HERE / "in_worker.py"), f"{grading}/__init__.py"),
        *(("file", str(HERE / name), f"{COURSE}/{name}") for name in COPIED),
    ]
    return steps


def _in_view(path, steps):
    """Whether what is at `path` can be seen after these steps."""
    around = [kind for kind, _, at in steps if Path(path).is_relative_to(at)]
    return around[-1:] == ["read"]


def furnish(folder):
    """Put what a worker may see into a folder; returns the student's own folder in it.

    For sandboxes without a view of their own. `course_lib` comes without `grading`,
    which holds questions and answers, and without what needs it.
    """
    hidden = shutil.ignore_patterns("grading", "cli.py", "__pycache__")
    shutil.copytree(LIBRARY, folder / "course_lib", ignore=hidden)
    (folder / "course_lib" / "grading").mkdir()
    stub = folder / "course_lib" / "grading" / "__init__.py"
    shutil.copyfile(HERE / "in_worker.py", stub)
    for name in COPIED:
        shutil.copyfile(HERE / name, folder / name)
    home = folder / "home"
    home.mkdir()
    return home
