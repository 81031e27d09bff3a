"""Write site/lite.lock.json anew from what its "wanted" asks for.

The hashes of Pyodide's packages are those of Pyodide's own list, which comes from npm
with its core; the hash of a wheel is that of the file which pip brings now.
"""

import json
import re
import tempfile
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from tools import vendor
from tools.lite import files

CORE = [
    "pyodide.js",
    "pyodide.asm.js",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "pyodide-lock.json",
]


def closure(packages, names):
    """The packages called `names` in Pyodide's list, and all that they need."""
    by_name = {canonicalize_name(name): name for name in packages}
    found, ahead = set(), list(names)
    while ahead:
        name = canonicalize_name(ahead.pop())
        if name not in by_name:
            raise SystemExit(f"Pyodide has no package called {name}.")
        if by_name[name] not in found:
            found.add(by_name[name])
            ahead += packages[by_name[name]]["depends"]
    return sorted(found)


def entry(name, version, sha256, *sources):
    """One file as the lock describes it."""
    return {"name": name, "version": version, "sha256": sha256, "from": [*sources]}


def core_entries(lock, folder):
    """The files of Pyodide itself, as npm has them."""
    files.from_npm(lock, CORE, folder)
    package = lock["sources"]["npm"]
    return {
        name: entry(
            package["name"], package["version"], vendor.digest(folder / name), "npm"
        )
        for name in CORE
    }


def package_entries(lock, folder):
    """The packages that Pyodide has built, with the hashes of its own list."""
    packages = json.loads((folder / "pyodide-lock.json").read_text())["packages"]
    chosen = [packages[n] for n in closure(packages, lock["wanted"]["pyodide"])]
    return {
        each["file_name"]: entry(
            each["name"], each["version"], each["sha256"], "release", "carrier"
        )
        for each in chosen
    }


def wheel_entries(lock, folder):
    """The wheels that pip brings, with the hashes that they have."""
    wanted = lock["wanted"]["browser"] + lock["wanted"]["build"]
    files.download(wanted, folder)
    found = {}
    for wheel in sorted(folder.glob("*.whl")):
        name, version, *_ = parse_wheel_filename(wheel.name)
        found[wheel.name] = entry(name, str(version), vendor.digest(wheel), "pip")
    return found


def write():
    """Write the lock anew."""
    lock = files.read_lock()
    with tempfile.TemporaryDirectory() as folder:
        made = core_entries(lock, Path(folder))
        made |= package_entries(lock, Path(folder))
        made |= wheel_entries(lock, Path(folder))
    lock["files"] = made
    text = json.dumps(lock, indent=2)
    # A file on one line each: a change of version is a change of one line.
    one_line = re.sub(r"\n {6,}", " ", text)
    one_line = re.sub(r"\n {4}([}\]])", r" \1", one_line)
    files.LOCK.write_text(one_line + "\n", "utf-8")
    return len(made)
