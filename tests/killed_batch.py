"""A batch with short limits, which the tests kill and start again.

Usage: python killed_batch.py CLASS RESULTS GRADER [SCHEDULER]

It goes on with what is in RESULTS, on two processes, and prints which files it graded.
GRADER is "real" or "fake".
"""

import json
import sys
from pathlib import Path

from fake_grader import fake_grade
from grading_reports import SEED

from course_lib.grading.batch import grade_into
from course_lib.grading.grader import Limits, Options, grade_content
from course_lib.grading.hand_in import find
from course_lib.grading.lanes import lanes_for
from course_lib.grading.results import opened

# Long enough for the honest on a busy machine, short enough to wait for those who hang.
LIMITS = Limits(cell=5, call=5, notebook=10, memory=2**29)
GRADERS = {"real": grade_content, "fake": fake_grade}


def main(folder, results, grader, scheduler=None):
    """Go on with the batch to its end."""
    graded = []

    def told(report, was_there):
        if not was_there:
            graded.append(report["file"])

    found, options = find([Path(folder)]), Options(SEED, LIMITS)
    with opened(results, True) as there, lanes_for(len(found), 2, scheduler) as lanes:
        grade_into(there, found, lanes, options, told, GRADERS[grader])
        there.summarise(SEED)
    print(json.dumps(graded))


if __name__ == "__main__":
    main(*sys.argv[1:])
