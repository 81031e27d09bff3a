"""Have notebooks graded in one sandbox, whichever the machine would choose."""

import os
import sys
from pathlib import Path

import pytest

from course_lib.grading import sandbox, workers
from course_lib.grading.process import Limits

OF_RECORD = ("bubblewrap", "namespaces")
ROOT = Path(__file__).parents[2]
# Looks, and touches nothing: what it finds would be open to all that hostile code does.
OPEN = f"""
import os, sys
places = ['/', '/usr', '/usr/bin/env', '/etc', '/dev', '/proc/sys/kernel/core_pattern']
places += ['{sys.prefix}', '{sys.base_prefix}', '/course', os.path.dirname(os.__file__)]
found = [place for place in places if os.access(place, os.W_OK)]
found += [place for place in ['{ROOT}/tests', '{ROOT}/.git'] if os.path.exists(place)]
found += ['processes'] * (sum(map(str.isdigit, os.listdir('/proc'))) > 4)
with open('/proc/self/status') as file:
    found += [line.split()[0] for line in file
              if line.startswith(('CapEff', 'CapPrm')) and int(line.split()[1], 16)]
raise ValueError(found)
"""

_found = {}  # name -> Sandbox, or None


def confine(name):
    """The first sandbox of that name that works here is chosen; skips without one.

    Returns:
        Sandbox
    """
    if name not in _found:
        _found[name] = _working(name)
    workers._chosen = _found[name]
    if _found[name] is None:
        reason = f"No sandbox {name} on this machine: see `attention-course doctor`."
        if os.environ.get("CI") and name in OF_RECORD:
            pytest.fail(reason)
        pytest.skip(reason)
    return _found[name]


def _working(name):
    for candidate in sandbox.candidates():
        if candidate.name == name:
            trial, worker = workers.try_out(candidate, Limits())
            if trial.works:
                _take_care(name, worker)
                worker.stop()
                return candidate
    return None


def _take_care(name, worker):
    """Run nothing hostile where it could harm the machine that runs the tests."""
    if name not in OF_RECORD:
        return  # what is run there is harmless anywhere
    reply = worker.ask({"cell": OPEN, "name": "<look>"}, 10)
    if reply["error"]["message"] != "[]":
        worker.stop()
        pytest.exit(f"The sandbox {name} leaves open: {reply['error']['message']}")


def release():
    """Leave the choice to the machine again."""
    workers.close_spare()
    workers._chosen = None
