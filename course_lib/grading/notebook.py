"""Read a notebook as text. Nothing in it is run, parsed as Python or believed."""

import errno
import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass

MAX_BYTES = 50 * 2**20
# A few bytes of text can be a large object, and a long time's work: what is no notebook
# of a student is not unpacked.
MAX_PARTS = 10**6  # values, lists and objects, and commas in texts
MAX_CODE = 2**16  # characters of code; pictures and tables are in the outputs


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
        # No part of it is tried twice at one place: a hostile cell takes no longer.
        starts = rf"(def|class)[ \t]+{name}\b|{name}[ \t]*="
        imports = rf"from\b(?>.*?\bimport\b).*\b{name}\b"
        pattern = re.compile(rf"^[ \t]*({starts}|{imports})", re.M)
        found = [i for i, cell in enumerate(self.cells) if pattern.search(cell)]
        return found[-1] if found else None


def read_bytes(path, name=None):
    """The content of a submission (or Unreadable). No link is followed.

    Args:
        path: of the file
        name: how the sentences call it, if not by its path
    """
    name = name or path
    try:
        content = _read_regular(path)
    except FileNotFoundError:
        raise Unreadable(f"there is no file {name}") from None
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.ELOOP:
            raise Unreadable(f"{name} is a link, and links are not followed") from None
        reason = getattr(error, "strerror", None) or error
        raise Unreadable(f"{name} cannot be read: {reason}") from None
    if content is None:
        raise Unreadable(f"{name} is not a regular file")
    if len(content) > MAX_BYTES:
        raise Unreadable(f"{name} is larger than {MAX_BYTES // 2**20} MB")
    return content


def _read_regular(path):
    """The first bytes of a regular file, one more than allowed; None of all else."""
    # Opened so, a pipe does not block.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        with open(handle, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(handle)


def sha256(content):
    """Hexadecimal SHA-256 of a submission's bytes."""
    return hashlib.sha256(content).hexdigest()


def parse(path, content):
    """The Notebook in a submission's bytes: nbformat 3, 4, or what looks like a 5.

    Raises:
        Unreadable, with one sentence that names the file.
    """
    if sum(map(content.count, b"[{,")) > MAX_PARTS:
        raise Unreadable(f"{path} holds more than {MAX_PARTS:,} values")
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
    sources = tuple(_text(cell.get("source", cell.get("input"))) for cell in code)
    if sum(map(len, sources)) > MAX_CODE:
        raise Unreadable(f"{path} holds more than {MAX_CODE // 2**10} kB of code")
    return Notebook(sources, frozenset(filter(None, map(_grade_id, cells))))


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
