"""A gradebook as the learning platform exported it, and who in it is whom."""

import csv
import io
import re
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from course_lib.grading.reports.students import listing


class NotARoster(ValueError):
    """The file is no such gradebook; the message is one sentence without its stop."""


@dataclass(frozen=True)
class Roster:
    """A table with a header.

    Attributes:
        header: list of str
        rows: list of dicts, column -> text, in the file's order
    """

    header: list
    rows: list


def read_roster(path, needed):
    """The Roster in a CSV file.

    Args:
        path: of a CSV file, UTF-8, with commas, semicolons or tabs
        needed: list of sets of column names; of each set one has to be there

    Raises:
        NotARoster
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise NotARoster(f"{path} cannot be read: {reason}") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise NotARoster(f"{path} is not a CSV file: {error}") from None
    header = table[0] if table else []
    for names in needed:
        if not names & set(header):
            wanted = " or ".join(f'"{name}"' for name in sorted(names))
            raise NotARoster(
                f"{path} has no column {wanted}: give the file as the platform "
                "exported it, in English"
            )
    rows = [
        dict(zip_longest(header, row[: len(header)], fillvalue="")) for row in table[1:]
    ]
    return Roster(header, rows)


def match(students, rows, id_columns, names_of):
    """Find each student's row, by an id if one fits, else by the name.

    Args:
        students: list of Student
        rows: list of dicts, those of a Roster
        id_columns: columns that may hold what is a student's id or stands for the name
        names_of: row -> the ways in which its student may be called

    Returns:
        {index of a row: Student}, and a list of sentences: on students for whom not
        exactly one row fits, and on those whose id fits and whose name does not.
    """
    by_id = _index(rows, lambda row: [row.get(name, "") for name in id_columns], _id)
    by_name = _index(rows, names_of, _name)
    matched, missing, doubtful, renamed = {}, [], [], []
    for student in students:
        named = by_name.get(_name(student.name), set())
        places = by_id.get(_id(student.id)) or by_id.get(_id(student.name)) or named
        free = places - matched.keys()
        if len(places) != 1 or not free:
            (doubtful if places else missing).append(student)
            continue
        (place,) = free
        matched[place] = student
        if place not in named and _id(student.id) in by_id:
            renamed.append(student)
    notes = {
        "Not in the gradebook": missing,
        "Left out, for more than one row or student fits": doubtful,
        "Found by the id, under another name": renamed,
    }
    return matched, [f"{says}: {listing(who)}." for says, who in notes.items() if who]


def _index(rows, texts_of, key):
    """Every key of every row -> the indices of the rows that have it."""
    index = {}
    for number, row in enumerate(rows):
        for found in set(map(key, texts_of(row))) - {""}:
            index.setdefault(found, set()).add(number)
    return index


def _id(text):
    return text.strip().casefold()


def _name(text):
    """A name without what differs from place to place: case, spaces, marks."""
    return re.sub(r"[\W_]", "", text).casefold()
