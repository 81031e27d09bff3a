"""Is a report the one that the grader wrote?"""

import os
from pathlib import Path

from course_lib.grading.reports.files import (
    SECRET_SEED,
    NoSeed,
    NotAReport,
    claimed_reports,
    read_seed,
    report_files,
)
from course_lib.grading.reports.schema import mistake
from course_lib.grading.signing import is_signed, seed_id


def verdicts(path, seed_file=None):
    """Look at every report in a file or folder.

    Args:
        path: of a report, or a folder of them
        seed_file: path of the secret seed. None = the one of the results folder.

    Yields:
        (name, what is wrong in a few words or None), a pair for each report.

    Raises:
        NoSeed; NotAReport, if there is nothing to look at.
    """
    seed = read_seed(seed_file or _own_seed(Path(path)))
    for file in report_files([path]):
        try:
            for name, report in claimed_reports(file):
                yield name, what_is_wrong(report, seed)
        except NotAReport as problem:
            yield str(file), str(problem)


def what_is_wrong(report, seed):
    """Why a report is not to be trusted, or None.

    Args:
        report: what was in a JSON file
        seed: int, the secret one
    """
    if not isinstance(report, dict) or "schema" not in report:
        return "it is not a report"
    if report["schema"] != 1:
        return "it has another schema than 1"
    if "signature" not in report:
        return "it has no signature"
    if report.get("seed_id") != seed_id(seed):
        return "it was signed with another seed, or its seed_id was altered"
    if not is_signed(report, seed):
        return "it was altered after it was signed"
    if wrong := mistake(report, "report"):
        return f"it is signed, but does not fit the schema: {wrong}"
    return None


def _own_seed(path):
    """The seed of the results folder that a path is, or lies in."""
    if not os.path.exists(path):
        raise NotAReport(f"there is no file {path}")
    places = [path, *path.absolute().parents[:2]]
    for folder in places:
        if (folder / SECRET_SEED).is_file():
            return folder / SECRET_SEED
    raise NoSeed(f"there is no {SECRET_SEED} beside {path}: name it with --seed-file")
