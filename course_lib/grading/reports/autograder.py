"""A zip that Gradescope takes as an autograder: this package, a seed, two scripts.

What is in it: `setup.sh` and `run_autograder` (which Gradescope runs), `README.md`,
`settings.json`, `secret-seed`, `requirements.txt`, and the package with its version.
"""

import io
import json
import zipfile
from importlib import metadata
from pathlib import Path

import course_lib
from course_lib.grading.reports.files import SECRET_SEED

NAME = "attention-course"
SETTINGS, REQUIREMENTS = "settings.json", "requirements.txt"
CONTAINER = Path(__file__).parent / "container"
LIBRARY = Path(course_lib.__file__).parent
RUNS = {"setup.sh", "run_autograder"}
DATE = (1980, 1, 1, 0, 0, 0)  # the same content makes the same zip


def autograder_zip(chapter, seed, allow_unsandboxed=False, visibility="visible"):
    """The bytes of the zip.

    Args:
        chapter: int, whose exercises are graded
        seed: int, the secret one, which the zip will hold
        allow_unsandboxed: whether scores count where there is no sandbox
        visibility: when students see the questions, see `gradescope.VISIBILITY`
    """
    settings = {
        "chapter": chapter,
        "allow_unsandboxed": allow_unsandboxed,
        "visibility": visibility,
    }
    version = metadata.version(NAME)
    info = f"{NAME.replace('-', '_')}-{version}.dist-info/METADATA"
    content = {path.name: path.read_bytes() for path in sorted(CONTAINER.iterdir())}
    content |= {
        SETTINGS: json.dumps(settings, indent=2).encode() + b"\n",
        SECRET_SEED: f"{seed}\n".encode(),
        REQUIREMENTS: "".join(f"{line}\n" for line in requirements()).encode(),
        # So that the reports name the version of the grader.
        info: f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {version}\n".encode(),
    }
    content |= {
        path.relative_to(LIBRARY.parent).as_posix(): path.read_bytes()
        for path in sorted(LIBRARY.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    return _zip(content)


def requirements():
    """What the package needs: lines of a requirements.txt, by name and lower bound."""
    needed = metadata.requires(NAME) or []
    return sorted(line for line in needed if "extra ==" not in line)


def _zip(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name, DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            mode = 0o755 if name in RUNS else 0o600 if name == SECRET_SEED else 0o644
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, data)
    return buffer.getvalue()
