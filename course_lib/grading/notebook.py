"""Read a notebook as text. Nothing in it is run, parsed as Python or believed."""

import hashlib
import json
import re
import stat
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 50 * 2**20


class Unreadable(ValueError):
    """The file is no notebook that can be graded; the message is one sentence."""


@dataclass(frozen=True)
class Notebook:
    """What a submission contributes: its code, and the ids that its metadata claims.

    Attributes:
        cells: tuple of str, the sources of the code cells in order
        grade_ids: frozenset of str, from nbgrader's metadata
    """

    cells: tuple[str, ...]
    grade_ids: frozenset[str]

    def cell_defining(self, name):
        """Index of the last cell that seems to define or import `name`, or None."""
        starts = rf"(def|class)\s+{name}\b|{name}\s*=|from\b.*\bimport\b.*\b{name}\b"
        pattern = re.compile(rf"^\s*({starts})", re.M)
        found = [i for i, cell in enumerate(self.cells) if pattern.search(cell)]
        return found[-1] if found else None


def read_bytes(path):
    """The content of a submission (or Unreadable)."""
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable(f"{path} is not a regular file")
        if status.st_size > MAX_BYTES:
            raise Unreadable(f"{path} is larger than {MAX_BYTES // 2**20} MB")
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise Unreadable(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unreadable(f"{path} cannot be read: {reason}") from None


def sha256(content):
    """Hexadecimal SHA-256 of a submission's bytes."""
    return hashlib.sha256(content).hexdigest()


def parse(path, content):
    """The Notebook in a submission's bytes: nbformat 3, 4, or what looks like a 5.

    Raises:
        Unreadable, with one sentence that names the file.
    """
    try:
        document = json.loads(content.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):
        raise Unreadable(
            f"{path} is not a notebook: it is not JSON, or it is cut off"
        ) from None
    cells = list(_cells(document))
    if not cells:
        raise Unreadable(f"{path} is not a notebook: it has no cells")
    code = [cell for cell in cells if cell.get("cell_type") == "code"]
    return Notebook(
        tuple(_text(cell.get("source", cell.get("input"))) for cell in code),
        frozenset(filter(None, map(_grade_id, cells))),
    )


def _cells(document):
    """The cells, as dictionaries, wherever this version of the format keeps them."""
    if not isinstance(document, dict):
        return
    sheets = document.get("worksheets")
    for part in [document, *(sheets if isinstance(sheets, list) else [])]:
        cells = part.get("cells") if isinstance(part, dict) else None
        if isinstance(cells, list):
            yield from (cell for cell in cells if isinstance(cell, dict))


def _text(source):
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def _grade_id(cell):
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return grade_id if isinstance(grade_id, str) else None
