"""Whose a notebook is, told from where it lies."""

import re

# "Full Name_123456_assignsubmission_file_", a folder or what a file's name begins with
MOODLE = re.compile(r"(?P<student>.+)_(?P<id>\d+)_assignsubmission_\w+?_.*")
# "lastfirst_12345_678910_name.ipynb" or "lastfirst_LATE_12345_678910_name.ipynb"
CANVAS = re.compile(r"(?P<student>[^_]+)(_LATE)?_(?P<id>\d{2,})_\d{3,}_.+")
# A notebook of the course keeps its name, "02_query_key_value": it says nothing.
CHAPTER = re.compile(r"\d\d_")
MAX_NAME = 200  # characters


def whose(parts):
    """The student and their id, as Moodle, Canvas or nbgrader name files and folders.

    Else it is the outermost folder, else the name of the file. A zip counts as a folder
    only if there is nothing else.

    Args:
        parts: tuple of str, folders and zips from the outside in, and the file's name

    Returns:
        (student, student_id), the second "" if unknown.
    """
    for system in (MOODLE, CANVAS):
        for part in reversed(parts):
            if match := system.fullmatch(part):
                return match["student"].strip()[:MAX_NAME] or part, match["id"]
    *containers, file = parts
    folders = [part for part in containers if not part.lower().endswith(".zip")]
    if "submitted" in folders[:-1]:  # nbgrader: submitted/student/assignment
        folders = folders[folders.index("submitted") + 1 :]
    stem = _stem(file)
    if folders:
        name = folders[0]
    elif containers and CHAPTER.match(stem):
        name = _stem(containers[0])
    else:
        name = stem
    return name.strip()[:MAX_NAME] or file, ""


def _stem(name):
    return re.sub(r"\.(ipynb|zip)$", "", name, flags=re.I)
