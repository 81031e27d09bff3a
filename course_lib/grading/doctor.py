"""What this machine can do for the grader, and the one command that improves it."""

import subprocess
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from course_lib.grading import sandbox, workers
from course_lib.grading.lanes import cores
from course_lib.grading.process import Limits

# A kernel setting that keeps user namespaces away, the value that does, the remedy.
SETTINGS = (
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
    ("kernel/unprivileged_userns_clone", "0", "1"),
    ("user/max_user_namespaces", "0", "10000"),
)


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes:
        trials: list of Trial, best sandbox first
        cores: int, that this process may use
        best: the Trial that `grade` would use, or None
        advice: one sentence
    """

    trials: list
    cores: int
    best: workers.Trial | None
    advice: str


def examine(limits=None):
    """Try every sandbox on this machine: an Examination."""
    limits = limits or Limits()
    trials = [
        next((t for t in tried if t.works), tried[-1])  # of several versions
        for _, versions in groupby(sandbox.SANDBOXES, lambda each: each.name)
        if (tried := [_try(candidate, limits) for candidate in versions])
    ]
    best = next((trial for trial in trials if trial.works), None)
    return Examination(trials, cores(), best, _advice(trials, best))


def _try(candidate, limits):
    if candidate not in sandbox.candidates():
        trouble = f"There is no {candidate.program} on the PATH."
        if candidate.own_user:
            trouble = "Only root can give each worker a user of its own."
        return workers.Trial(candidate, False, trouble=trouble)
    trial, worker = workers.try_out(candidate, limits)
    if worker:
        worker.stop()
    elif said := _what_it_said(candidate):
        return workers.Trial(candidate, False, trouble=f"{candidate.program}: {said}")
    return trial


def _what_it_said(candidate):
    """The first line that a sandbox writes when it fails to run `true`."""
    command = candidate.confine(["true"], sandbox.new_user())
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    lines = done.stderr.strip().splitlines()
    return lines[0] if done.returncode and lines else ""


def _advice(trials, best):
    """What would help most, as one sentence."""
    works = {trial.sandbox.name for trial in trials if trial.works}
    if "bubblewrap" in works and best.grouped:
        return "Nothing to improve."
    for setting, hinders, helps in SETTINGS:
        path = Path("/proc/sys", setting)
        if not works - {"plain", "user"} and path.exists():
            if path.read_text().strip() == hinders:
                name = setting.replace("/", ".")
                return f"Allow user namespaces: sudo sysctl -w {name}={helps}"
    if not any(t.sandbox.program == "bwrap" and _there(t) for t in trials):
        return "Install bubblewrap: sudo apt-get install bubblewrap"
    if "bubblewrap" not in works:
        return (
            "This looks like a container that forbids namespaces: start it with "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined"
        )
    return (
        "Limit memory as a whole, with control groups: "
        "systemd-run --user --scope attention-course grade ..."
    )


def _there(trial):
    return not trial.trouble.startswith("There is no")
