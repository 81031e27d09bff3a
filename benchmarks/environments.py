"""The peers' own virtual environments: pinned, made once, kept outside git."""

import hashlib
import re
import sys
import venv
from pathlib import Path

from benchmarks.measure import run

ROOT = Path(__file__).resolve().parents[1]
PINS, MADE = ROOT / "benchmarks" / "peers", ROOT / ".cache" / "benchmarks"


def version(package, name):
    """The version of a package that the file of pins `name` asks for."""
    pins = (PINS / f"{name}.txt").read_text()
    return re.search(rf"^{package}==(.+)$", pins, re.MULTILINE)[1]


def environment(name):
    """The folder of an environment's programs; the environment is made if need be.

    Args:
        name: of the file in `benchmarks/peers/` that pins its packages

    Raises:
        Failed, with what pip said, if they cannot be installed.
    """
    pins, folder = PINS / f"{name}.txt", MADE / name
    wanted = hashlib.sha256(sys.version.encode() + pins.read_bytes()).hexdigest()
    stamp, programs = folder / "installed.txt", folder / "bin"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making an environment for {name} (about a minute)", flush=True)
        venv.create(folder, clear=True, symlinks=True, with_pip=True)
        pip = [programs / "python", "-m", "pip", "install", "--quiet", "--no-input"]
        run([*pip, "--disable-pip-version-check", "--requirement", pins], ROOT)
        stamp.write_text(wanted)
    return programs
