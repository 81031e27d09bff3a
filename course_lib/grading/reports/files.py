"""Where reports lie, how they are read, and how files are written: whole or not at all.

A batch's results folder holds `reports/NAME.json`, `summary.json` and `secret-seed`.
"""

import json
import os
import re
import secrets
import stat
from pathlib import Path

from course_lib.grading.reports.schema import mistake

REPORTS, SUMMARY, SECRET_SEED = "reports", "summary.json", "secret-seed"
MAX_BYTES = 64 * 2**20
UNFINISHED = re.compile(r"\..+\.[0-9a-f]{16}")  # names of files not yet whole


class NotAReport(ValueError):
    """The file holds no report; the message is one sentence without its stop."""


class NoSeed(ValueError):
    """There is no seed where one was looked for; the message is one such sentence."""


def report_files(paths):
    """The report files among paths: files themselves, and those in folders, sorted.

    Args:
        paths: of files, of results folders, or of folders with reports in them

    Raises:
        NotAReport, if a path is missing or a folder has no report.
    """
    for path in map(Path, paths):
        if not os.path.isdir(path):  # unlike Path.is_dir, it never raises
            yield path
            continue
        folder = path / REPORTS if (path / REPORTS).is_dir() else path
        found = sorted(
            file
            for file in folder.glob("*.json")
            if file.name != SUMMARY and not file.name.startswith(".")
        )
        if not found:
            raise NotAReport(f"{path} has no reports in it")
        yield from found


def read_json(path):
    """What a JSON file holds (or NotAReport). A key that comes twice is refused."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise NotAReport(f"{path} is not a regular file")
        if status.st_size > MAX_BYTES:
            raise NotAReport(f"{path} is larger than {MAX_BYTES // 2**20} MB")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotAReport(f"there is no file {path}") from None
    except OSError as error:
        raise NotAReport(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NotAReport(f"{path} is not a report: it is not UTF-8") from None
    try:
        return json.loads(text, object_pairs_hook=_each_key_once)
    except (ValueError, RecursionError):
        raise NotAReport(f"{path} is not a report: it is not JSON") from None


def _each_key_once(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key comes twice")
    return dict(pairs)


def claimed_reports(path):
    """What a file gives for reports, with a name for each: one, or those of a list.

    Yields:
        (name, object that may or may not be a report).
    """
    content = read_json(Path(path))
    if not isinstance(content, list):
        yield str(path), content
        return
    for number, report in enumerate(content, start=1):
        yield f"{path}, number {number}", report


def read_reports(paths):
    """Every report among paths, one at a time, each of the right schema.

    Raises:
        NotAReport, at the first that is not.
    """
    for path in report_files(paths):
        for name, report in claimed_reports(path):
            if wrong := mistake(report, "report"):
                raise NotAReport(f"{name} is not a report: {wrong}")
            yield report


def read_seed(path):
    """The secret seed in a file, an int (or NoSeed)."""
    try:
        text = Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise NoSeed(f"the seed in {path} cannot be read: {reason}") from None
    if not text.isdigit() or len(text) > 1000:
        raise NoSeed(f"{path} holds no seed: it should be one number")
    return int(text)


def write_whole(path, content, mode=0o666):
    """Write a file so that it has its old content or its new one, never half of it.

    Args:
        path: of the file
        content: str, written as UTF-8 (what UTF-8 cannot say becomes "?"), or bytes
        mode: permissions, less the process's umask

    Raises:
        OSError
    """
    path = Path(path)
    if isinstance(content, str):
        content = content.encode("utf-8", errors="replace")
    temporary = path.parent / f".{path.name[:50]}.{secrets.token_hex(8)}"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_unfinished(folder):
    """Remove what a process that was killed in `write_whole` left in a folder."""
    for path in folder.iterdir():
        if UNFINISHED.fullmatch(path.name):
            path.unlink()
