"""Grade one submission in Gradescope's container: `run_autograder` starts this.

Everything happens below $AUTOGRADER_ROOT, which is /autograder there. The results are
written last, when the student's process is gone.
"""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

from course_lib.grading import workers
from course_lib.grading.grader import Options, grade_content
from course_lib.grading.hand_in import HandIn, find
from course_lib.grading.notebook import Unreadable
from course_lib.grading.reports.autograder import SETTINGS
from course_lib.grading.reports.files import SECRET_SEED, read_seed, write_whole
from course_lib.grading.reports.gradescope import results


def main():
    """Grade, and write results.json."""
    began = time.monotonic()
    root = Path(os.environ["AUTOGRADER_ROOT"])
    settings = json.loads((root / "source" / SETTINGS).read_text())
    seed = read_seed(root / "source" / SECRET_SEED)
    written = root / "results" / "results.json"
    _close(root)
    options = Options(seed, allow_unsandboxed=settings["allow_unsandboxed"])
    handed_in, content = _submission(root, settings["chapter"])
    try:
        report = grade_content(handed_in, content, options, spare=False)
    finally:
        workers.close_all()
    made = results(
        report,
        settings["chapter"],
        settings["visibility"],
        time.monotonic() - began,
    )
    write_whole(written, json.dumps(made, indent=2) + "\n")
    print(f"Graded with the sandbox {report['sandbox']}: {made['score']} points.")


def _close(root):
    """Let nobody but this user see who submits, what was submitted, and the results."""
    for name in ("submission", "submission_metadata.json", "results"):
        path = root / name
        if path.exists():
            path.chmod(0o700)


def _submission(root, chapter):
    """The notebook to grade: a HandIn, and its bytes or a sentence on what is wrong."""
    student, student_id = _who(root / "submission_metadata.json")
    found = [
        each for each in find([root / "submission"]) if each.file.endswith(".ipynb")
    ]
    names = [f"{chapter:02}_", ""]  # the exercise by its name, else any notebook
    for start in names:
        fitting = [h for h in found if h.file.rpartition("/")[2].startswith(start)]
        if len(fitting) == 1:
            handed_in = replace(fitting[0], student=student, student_id=student_id)
            try:
                return handed_in, handed_in.read()
            except Unreadable as problem:
                return handed_in, str(problem)
    nothing = HandIn(student, student_id, "", root / "submission", None)
    if not found:
        return nothing, "there is no notebook (.ipynb) in this submission"
    names = ", ".join(each.file for each in found[:5])
    return nothing, f"there are {len(found)} notebooks ({names}): hand in one of them"


def _who(path):
    """Names and ids of the students who submit together, as Gradescope gives them."""
    try:
        users = json.loads(path.read_text(encoding="utf-8"))["users"]
        names = " and ".join(str(user["name"]) for user in users)
        return names, "+".join(str(user["id"]) for user in users)
    except (OSError, ValueError, LookupError, TypeError):
        return "", ""  # a trial by hand has no such file


if __name__ == "__main__":
    main()
