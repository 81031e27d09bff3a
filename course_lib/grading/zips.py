"""Read notebooks out of a zip, which may be damaged or made to do harm.

Nothing is unpacked to the disk. Names that lead out of the zip are refused though they
could do nothing here: what comes next with that zip may unpack it.
"""

import io
import os
import re
import stat
import zipfile
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from course_lib.grading.notebook import MAX_BYTES

MAX_MEMBERS = 100_000
MAX_DIRECTORY = 20 * 2**20  # bytes of the list of members
MAX_TOTAL = 2**30  # bytes of notebooks, unpacked; more may come of a large zip
MAX_RATIO = 100  # how many times larger than the zip they may be
CHUNK = 2**16
# With others, a few bytes become as many as they like in one step.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED, UTF_8 = 0x1, 0x800  # flags of a member


class BadZip(ValueError):
    """The zip cannot be read; the message completes "FILE ..."."""


class BadMember(ValueError):
    """One file of a zip cannot be read; the message completes "FILE ..."."""


@dataclass(frozen=True)
class Member:
    """A notebook in a zip.

    Attributes:
        name: in the zip
        parts: of its path there, without what leads out of the zip
        trouble: why it cannot be read, completes "FILE ...", or None
    """

    name: str
    parts: tuple[str, ...]
    trouble: str | None


class _Source(io.BufferedReader):
    """A zip's file that reads no endless list of members."""

    def __init__(self, path):
        # Opened so, a pipe does not block, and a link is refused.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        super().__init__(io.FileIO(handle))

    def read(self, size=-1, /):
        if size > MAX_DIRECTORY:
            raise BadZip("has too long a list of files")
        return super().read(size)


class _Archive(zipfile.ZipFile):
    """A zip that closes its file when it is closed, or dropped."""

    _source = None

    def __init__(self, path):
        self._source = _Source(path)
        try:
            super().__init__(self._source)
        except BaseException:
            self._source.close()
            raise

    def close(self):
        super().close()
        if self._source:
            self._source.close()


def members(path):
    """The notebooks in a zip, and the zips in it, which are not opened.

    Hidden files and folders are left out, as those that macOS adds.

    Returns:
        list of Member, at least one

    Raises:
        BadZip
    """
    try:
        with _Archive(path) as archive:
            infos = archive.infolist()
    except BadZip:
        raise
    except OSError as error:
        raise BadZip(f"cannot be read: {error.strerror or error}") from None
    except Exception:  # there is no list of what damaged bytes raise
        raise BadZip("is not a zip, or it is damaged") from None
    if len(infos) > MAX_MEMBERS:
        raise BadZip(f"holds more than {MAX_MEMBERS:,} files")
    wanted = [(info, _shown(info)) for info in infos if _counts(info)]
    wanted = [(info, parts) for info, parts in wanted if not _is_hidden(parts)]
    total = sum(info.file_size for info, _ in wanted)
    if total > max(MAX_TOTAL, MAX_RATIO * os.stat(path).st_size):
        raise BadZip(f"would unpack to more than {MAX_RATIO} times its size")
    times = Counter(info.filename for info, _ in wanted)
    found = {
        info.filename: Member(
            info.filename, tuple(parts), _trouble(info, times[info.filename])
        )
        for info, parts in wanted
    }
    if not found:
        raise BadZip("holds no notebook (.ipynb)")
    return list(found.values())


def _counts(info):
    return not info.is_dir() and info.filename.lower().endswith((".ipynb", ".zip"))


def _shown(info):
    """The parts of a member's path, as they are read and without what leads out."""
    return [
        part for part in re.split(r"[/\\]", _text(info)) if part not in ("", ".", "..")
    ]


def _text(info):
    """A member's name, which may be UTF-8 though the zip does not say so."""
    if info.flag_bits & UTF_8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _is_hidden(parts):
    return any(part.startswith(".") for part in parts)


def _trouble(info, times):
    """Why a member cannot be read, or None."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    # Windows writes "\\" between folders now and then.
    name = _text(info).replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or re.match("[A-Za-z]:", name):
        return "has a name in its zip that leads out of it: pack it anew"
    if name.lower().endswith(".zip"):
        return "is a zip inside a zip: unpack it and hand in what it holds"
    if kind not in (0, stat.S_IFREG):
        return "is a link or another special file in its zip: pack the file itself"
    if times > 1:
        return f"is in its zip {times} times: pack it anew, with the one that counts"
    if info.flag_bits & ENCRYPTED:
        return "is encrypted in its zip: pack it anew, without a password"
    if info.compress_type not in METHODS:
        return "is packed in a way that is not read here: pack it anew as a plain zip"
    return None


@lru_cache(maxsize=1)  # sorted hand-ins come zip by zip; a list of members is long
def _archive(path, size, changed):
    return _Archive(path)


def read(path, name):
    """The content of a member that has no trouble (or BadMember)."""
    content = bytearray()
    try:
        status = os.stat(path)
        archive = _archive(path, status.st_size, status.st_mtime_ns)
        with archive.open(name) as stream:
            while chunk := stream.read(CHUNK):
                content += chunk
                if len(content) > MAX_BYTES:
                    raise BadMember(f"is larger than {MAX_BYTES // 2**20} MB")
    except BadMember:
        raise
    except OSError as error:
        raise BadMember(f"cannot be read: {error.strerror or error}") from None
    except Exception:  # there is no list of what damaged bytes raise
        raise BadMember("cannot be unpacked: its zip is damaged") from None
    return bytes(content)
