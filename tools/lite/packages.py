"""The packages that Python in the browser can import, and the list of them.

Pyodide reads `pyodide-lock.json`: what a cell imports by name is fetched from there,
with its hash checked by the browser. So the list holds our own packages too.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from tools import vendor
from tools.lite import needs
from tools.lite.files import CACHE, ROOT

LIST = "pyodide-lock.json"
COURSE = "attention-course"
BROWSER = {"sys_platform": "emscripten", "python_version": "3.12", "extra": ""}
NO_TRACES = shutil.ignore_patterns("__pycache__")
NO_TORCH = '''\
"""Stands where PyTorch would be, and says why it is not."""


class NoTorch(ImportError):
    def _render_traceback_(self):
        return [f"{type(self).__name__}: {self}"]


raise NoTorch(
    "PyTorch does not run in the browser. Open this notebook in Colab or Binder "
    "instead: the menu of its page in the course has both."
)
'''


def gather(lock, kernel_wheels, preloaded, folder):
    """Put everything that the browser's Python needs into a folder, with its list.

    Args:
        lock:          what `files.read_lock` gives
        kernel_wheels: paths of the wheels that come inside JupyterLite's kernel
        preloaded:     names of the packages that are there before a cell runs
        folder:        where Pyodide will be served from
    """
    folder.mkdir(parents=True)
    for_build = {Requirement(each).name for each in lock["wanted"]["build"]}
    for name, file in lock["files"].items():
        if file["name"] not in for_build:
            shutil.copy(CACHE / name, folder)
    for wheel in kernel_wheels:
        shutil.copy(wheel, folder)
    build_course(folder)
    write_wheel(folder, "torch", {"torch/__init__.py": NO_TORCH})
    content = json.loads((folder / LIST).read_text())
    content["packages"] = listed(content["packages"], preloaded, folder)
    (folder / LIST).write_text(json.dumps(content))


def listed(packages, preloaded, folder):
    """Pyodide's list, with what is in the folder and nothing else.

    Args:
        packages: {name: package} as Pyodide has it
    """
    kept = {
        key: package
        for key, package in packages.items()
        if (folder / package["file_name"]).exists()
    }
    known = {package["file_name"] for package in kept.values()}
    for wheel in sorted(folder.glob("*.whl")):
        if wheel.name not in known:
            add(kept, describe(wheel))
    kept[COURSE]["depends"] = ["numpy"]  # its parts bring the rest, see `add_needs`
    for package in kept.values():  # in a browser, the others would do nothing
        package["depends"] = [
            n for n in package["depends"] if canonicalize_name(n) in kept
        ]
    add_needs(kept, preloaded, folder)
    return kept


def add(packages, package):
    """Add a package to the list, in the place of another version of it."""
    packages[canonicalize_name(package["name"])] = package


def describe(wheel):
    """A wheel as Pyodide's list has it."""
    name, version, *_ = parse_wheel_filename(wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        tops = {
            member.split("/")[0].removesuffix(".py") for member in archive.namelist()
        }
        (metadata,) = [m for m in archive.namelist() if m.endswith("info/METADATA")]
        lines = archive.read(metadata).decode().splitlines()
    required = [
        Requirement(line.removeprefix("Requires-Dist:"))
        for line in lines
        if line.startswith("Requires-Dist:")
    ]
    environment = default_environment() | BROWSER
    return {
        "name": name,
        "version": str(version),
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": vendor.digest(wheel),
        "package_type": "package",
        "imports": sorted(top for top in tops if top.isidentifier()),
        "depends": [
            canonicalize_name(each.name)
            for each in required
            if each.marker is None or each.marker.evaluate(environment)
        ],
    }


def add_needs(packages, preloaded, folder):
    """List what the library's parts need, under the names of the parts."""
    there = set(map(canonicalize_name, preloaded))
    provided = {
        top: key
        for key, package in packages.items()
        for top in package["imports"]
        if canonicalize_name(key) not in there
    }
    for number, (names, parts) in enumerate(needs.groups(provided).items()):
        wheel = write_wheel(folder, f"course_needs_{number}", {})
        package = describe(wheel) | {"imports": parts, "depends": sorted(names)}
        add(packages, package)


def write_wheel(folder, name, texts):
    """Write a wheel of a few texts, or of none."""
    path = folder / f"{name}-0-py3-none-any.whl"
    info = f"{name}-0.dist-info"
    tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    texts = texts | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n",
        f"{info}/WHEEL": tags,
    }
    texts[f"{info}/RECORD"] = "".join(f"{member},,\n" for member in texts)
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in texts.items():
            archive.writestr(zipfile.ZipInfo(member), text)
    return path


def build_course(folder):
    """Build the course's own wheel; its name changes with what it holds.

    A browser that kept an older one would otherwise find that its hash is wrong.
    """
    source = folder / "source"
    shutil.copytree(ROOT / needs.LIBRARY, source / needs.LIBRARY, ignore=NO_TRACES)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--disable-pip-version-check"]
    command += [f"--wheel-dir={folder}", source]
    epoch = {"SOURCE_DATE_EPOCH": "315532800"}  # else its hash were new every time
    done = subprocess.run(
        command, env=os.environ | epoch, capture_output=True, text=True
    )
    shutil.rmtree(source)
    if done.returncode:
        raise SystemExit(f"pip could not pack the course: {done.stderr.strip()[-300:]}")
    (built,) = folder.glob("attention_course-*.whl")
    project, version, rest = built.name.split("-", 2)
    build = f"0{vendor.digest(built)[:12]}"
    built.rename(folder / f"{project}-{version}-{build}-{rest}")
