"""A batch's folder: reports written as they come, so that a killed batch can go on."""

import fcntl
import hashlib
import json
import re
from contextlib import contextmanager
from pathlib import Path

from course_lib.grading import notebook, signing
from course_lib.grading.grader import grader_version, new_seed
from course_lib.grading.reports import files
from course_lib.grading.reports.summary import summarise

LOCK = ".lock"
SAME_SEED = "give the same --seed or --seed-file again, or name another folder"
MAX_SLUG = 60  # characters of a report's name that people can read


class NoResults(ValueError):
    """The folder cannot be used; the message is one sentence."""


@contextmanager
def opened(folder, resume):
    """The Results in a folder, which no other process can use meanwhile.

    Args:
        folder: made if it is not there
        resume: whether there may be reports in it

    Raises:
        NoResults
    """
    folder = Path(folder)
    with _sentences(folder):
        (folder / files.REPORTS).mkdir(parents=True, exist_ok=True)
        # The lock is the open file's: whatever ends this process opens it.
        lock = open(folder / LOCK, "w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NoResults(f"another process grades into {folder}") from None
        except OSError as error:
            raise NoResults(f"{folder} cannot be locked: {error.strerror}") from None
        with _sentences(folder):
            files.remove_unfinished(folder)
            files.remove_unfinished(folder / files.REPORTS)
        results = Results(folder)
        if not resume and any(results.paths()):
            raise NoResults(
                f"{folder} has reports in it: go on with them by --resume, "
                "or name another folder"
            )
        yield results


@contextmanager
def _sentences(folder):
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise NoResults(f"cannot write to {folder}: {reason}") from None


class Results:
    """The reports of a folder. Use `opened`.

    Args:
        folder: Path
    """

    def __init__(self, folder):
        self._folder = folder
        self.seed_path = folder / files.SECRET_SEED

    def paths(self):
        """The reports' paths, an iterator."""
        return (self._folder / files.REPORTS).glob("[!.]*.json")

    def seed(self, seed=None, path=None):
        """The seed of this batch, which is that of all reports that are there.

        Args:
            seed: int; None = that in a file
            path: of the file; None = the folder's own, made with the first batch

        Raises:
            NoResults, or files.NoSeed
        """
        if seed is None:
            path = path or self.seed_path
            if path == self.seed_path and not path.exists() and any(self.paths()):
                raise NoResults(f"{path} is missing: {SAME_SEED}")
            seed = secret_seed(path)
        if self.seed_path.exists() and secret_seed(self.seed_path) != seed:
            raise NoResults(f"{self.seed_path} holds another seed: {SAME_SEED}")
        of_seed = signing.seed_id(seed)
        for path in self.paths():
            try:
                found = files.read_json(path)
            except files.NotAReport:
                continue  # it will be made anew
            if isinstance(found, dict) and found.get("seed_id", of_seed) != of_seed:
                raise NoResults(f"{path} was made with another seed: {SAME_SEED}")
        return seed

    def right_report(self, hand_in, content, options):
        """The report that is there, if it is by this grader and of just this.

        Args:
            hand_in: HandIn
            content: its bytes, or the sentence on why they cannot be read
            options: Options
        """
        try:
            report = self.report_of(hand_in)
        except files.NotAReport:
            return None
        readable = isinstance(content, bytes)
        expected = {
            "schema": 1,
            "submission_sha256": notebook.sha256(content if readable else b""),
            "student": hand_in.student,
            "student_id": hand_in.student_id,
            "file": hand_in.file,
            "grader": grader_version(),
            "seed_id": signing.seed_id(options.seed),
        }
        if not readable:
            expected["trouble"] = content
        is_right = (
            isinstance(report, dict)
            and all(report.get(key) == value for key, value in expected.items())
            and signing.is_signed(report, options.seed)
            and (report["of_record"] or not options.allow_unsandboxed)
        )
        return report if is_right else None

    def keep(self, report):
        """Write a report, whole or not at all (or NoResults)."""
        self._write(self._path(report["file"]), report)

    def report_of(self, hand_in):
        """What is there as the report of a hand-in (or files.NotAReport)."""
        return files.read_json(self._path(hand_in.file))

    def summarise(self, seed):
        """Write the summary of all reports that are there, if there is one.

        Raises:
            NoResults, if one of them is not the grader's own
        """
        paths = sorted(self.paths())
        if not paths:
            return
        try:
            summary = summarise(_signed(path, seed) for path in paths)
        except files.NotAReport as problem:
            raise NoResults(f"there is no summary: {problem}") from None
        self._write(self._folder / files.SUMMARY, summary)

    def _write(self, path, content):
        with _sentences(self._folder):
            files.write_whole(path, json.dumps(content, indent=2) + "\n")

    def _path(self, file):
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", file.removesuffix(".ipynb")).strip("-")
        digest = hashlib.sha256(file.encode()).hexdigest()[:24]
        name = f"{slug[-MAX_SLUG:]}-{digest}.json".lstrip("-")
        return self._folder / files.REPORTS / name


def _signed(path, seed):
    """A report that the grader wrote and nobody changed (or files.NotAReport)."""
    report = files.read_json(path)
    if not isinstance(report, dict) or not signing.is_signed(report, seed):
        raise files.NotAReport(f"{path} is not what the grader wrote: remove it")
    return report


def secret_seed(path):
    """The seed in a file, which is made, for its owner's eyes only, if it is missing.

    Raises:
        files.NoSeed
    """
    if not path.exists():
        try:
            files.write_whole(path, f"{new_seed()}\n", mode=0o600)
        except OSError as error:
            reason = error.strerror or error
            raise files.NoSeed(f"cannot write a seed to {path}: {reason}") from None
    return files.read_seed(path)
