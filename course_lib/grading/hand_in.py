"""Find what was handed in: notebooks in files, folders and zips, and whose they are.

Nothing is unpacked to the disk, and no link is followed. What cannot be read is found
too, with a sentence that says why, so that no student is lost.
"""

import os
import stat
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from course_lib.grading import layouts, zips
from course_lib.grading.notebook import Unreadable, read_bytes

MAX_NAME = 300  # characters of a hand-in's name, before what tells it from another
LINK = "is a link, and links are not followed: hand in the file itself"
ENDINGS = (".ipynb", ".zip")


@dataclass(frozen=True)
class HandIn:
    """One notebook of one student.

    Attributes:
        student: a name, from where it was found
        student_id: "" if unknown
        file: its name in reports: relative, with "/", printable, unique in a batch
        path: of the file, or of the zip that it is in
        member: its name in the zip, or None
        trouble: what completes "FILE ..." if it is known to be unreadable, or None
    """

    student: str
    student_id: str
    file: str
    path: Path
    member: str | None = None
    trouble: str | None = None

    def read(self):
        """The bytes of the notebook.

        Raises:
            Unreadable, with one sentence that names the file.
        """
        if self.trouble:
            raise Unreadable(f"{self.file} {self.trouble}")
        if self.member is None:
            return read_bytes(self.path, self.file)
        try:
            return zips.read(self.path, self.member)
        except zips.BadMember as problem:
            raise Unreadable(f"{self.file} {problem}") from None


@dataclass(frozen=True)
class _Found:
    """What was found below an argument.

    Attributes:
        parts: the folders from the argument on, and the name
        outer: the folders around that, from the root on
        path, member, trouble: as in HandIn
    """

    parts: tuple[str, ...]
    outer: tuple[str, ...]
    path: Path
    member: str | None = None
    trouble: str | None = None


def find(paths):
    """All that was handed in, each once, sorted by name.

    A name is that of the file; in a folder that was given, the path from there on; in a
    zip, the zip's name and the path inside. Where that would name two alike, folders
    further out are put in front.

    Args:
        paths: of files, folders and zips

    Returns:
        list of HandIn
    """
    found = {}
    for item in (item for path in paths for item in _below(Path(path))):
        # The same through another argument: what says more about it stays.
        same = found.setdefault((item.path, item.member, item.trouble), item)
        if len(item.parts) > len(same.parts):
            found[item.path, item.member, item.trouble] = item
    items = sorted(found.values(), key=lambda item: (str(item.path), item.parts))
    hand_ins = [
        HandIn(*_whose(item, parts), name, item.path, item.member, item.trouble)
        for item, (parts, name) in zip(items, _names(items), strict=True)
    ]
    return sorted(hand_ins, key=lambda hand_in: hand_in.file)


def _whose(item, parts):
    """Folders in a zip say it better than those around the zip."""
    own = item.member and len(item.parts) > 2
    return layouts.whose(item.parts if own else parts)


def _below(path):
    """What one argument holds."""
    try:
        path = Path(os.path.realpath(path.parent), path.name)
        mode = path.lstat().st_mode
    except (OSError, ValueError):  # what it is, reading will say
        mode = stat.S_IFREG
    if stat.S_ISDIR(mode):
        path = path.resolve()
        outer = _clean(path.parts[1:])
        found = list(_in_folder(path, outer))
        none = "holds no notebook (.ipynb) and no zip"
        yield from found or [_Found(outer[-1:] or ("/",), outer[:-1], path, None, none)]
        return
    outer, parts = _clean(path.parts[1:-1]), _clean(path.parts[-1:])
    if stat.S_ISLNK(mode):
        yield _Found(parts, outer, path, None, LINK)
    elif _is_zip(path.name) and stat.S_ISREG(mode):
        yield from _in_zip(path, parts, outer)
    else:
        yield _Found(parts, outer, path)


def _is_zip(name):
    return name.lower().endswith(".zip")


def _in_folder(top, outer):
    """Notebooks and zips in a folder and in the folders in it; hidden ones are left."""
    waiting = [(top, ())]
    while waiting:  # not by recursion: folders may be deeper than Python's stack
        folder, parts = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                inside = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            trouble = f"cannot be read: {error.strerror}"
            yield _Found(parts or outer[-1:], outer, folder, None, trouble)
            continue
        for entry in inside:
            path, names = Path(entry.path), (*parts, *_clean([entry.name]))
            if entry.is_dir(follow_symlinks=False):
                waiting.append((path, names))
            elif entry.is_symlink() and (path.is_dir() or _counts(entry.name)):
                yield _Found(names, outer, path, None, LINK)
            elif _is_zip(entry.name):
                yield from _in_zip(path, names, outer)
            elif _counts(entry.name):
                yield _Found(names, outer, path)


def _counts(name):
    return name.lower().endswith(ENDINGS)


def _in_zip(path, parts, outer):
    """The notebooks in a zip; one entry with a sentence if it is none."""
    try:
        members = zips.members(path)
    except zips.BadZip as problem:
        yield _Found(parts, outer, path, None, str(problem))
        return
    for member in members:
        inside = (*parts, *_clean(member.parts))
        yield _Found(inside, outer, path, member.name, member.trouble)


def _clean(parts):
    """Parts of a path as they are shown: printable, and composed the same way."""
    return tuple(
        "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode()
            for c in unicodedata.normalize("NFC", part)
        )
        for part in parts
    )


def _names(items):
    """Of each item the parts, with the folders around that it takes, and the name."""
    depths = [0] * len(items)
    while True:
        named = [
            (*item.outer[len(item.outer) - depth :], *item.parts)
            for item, depth in zip(items, depths, strict=True)
        ]
        places = defaultdict(set)
        for item, parts in zip(items, named, strict=True):
            places[_joined(parts)].add(item.outer)
        too_short = [
            i
            for i, (item, parts) in enumerate(zip(items, named, strict=True))
            if len(places[_joined(parts)]) > 1 and depths[i] < len(item.outer)
        ]
        if not too_short:
            break
        for i in too_short:
            depths[i] += 1
    taken, numbers = set(), defaultdict(int)
    for parts in named:
        name = joined = _joined(parts)
        while name in taken:  # the same, once they are printable
            numbers[joined] += 1
            name = f"{joined} ({numbers[joined] + 1})"
        taken.add(name)
        yield parts, name


def _joined(parts):
    name = "/".join(parts)
    return name if len(name) <= MAX_NAME else "…" + name[-MAX_NAME:]
