"""Control groups: one limit of memory and processes for a worker and all it starts.

Linux keeps them as folders, in version 2 one for all resources, in version 1 one for
each. Making a folder below a group and writing to its files is all there is to it, if
the rights are there: as root, or where the user's session was delegated a group.
"""

import os
import secrets
import signal
import time
from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
# Files of a group: what to write into them is a number of bytes or of processes.
MEMORY = {2: ["memory.max"], 1: ["memory.limit_in_bytes"]}
PROCESSES = {2: ["pids.max"], 1: ["pids.max"]}
PREFIX, OLD = "attention-course-", 60  # of names, and seconds
KILLED = {2: "memory.events", 1: "memory.oom_control"}


class ControlGroup:
    """A group that was made for one worker.

    Args:
        version: 1 or 2
        memory, processes: folders, the same one in version 2
    """

    def __init__(self, version, memory, processes):
        self.version, self._memory, self._processes = version, memory, processes
        self._folders = {memory, processes}

    def limit(self, memory, processes):
        """Allow so many bytes of memory, without swap, and so many processes."""
        for name in MEMORY[self.version]:
            (self._memory / name).write_text(str(memory))
        swap = self._memory / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")
        for name in PROCESSES[self.version]:
            (self._processes / name).write_text(str(processes))

    def add(self, pid):
        """Move a process into the group; what it starts from now on is in it too."""
        for folder in self._folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def out_of_memory(self):
        """Whether a process of the group was ended for its memory."""
        try:
            lines = (self._memory / KILLED[self.version]).read_text().splitlines()
        except OSError:
            return False
        counts = dict(line.split(" ", 1) for line in lines if " " in line)
        return counts.get("oom_kill", "0") != "0"

    def remove(self):
        """Kill what is left, and remove the group when the kernel sees it empty."""
        for folder in self._folders:
            for _ in range(200):
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    self._kill()
                    time.sleep(0.005)

    def _kill(self):
        """Kill every process of the group: in a sandbox, there is none left."""
        procs = (self._processes / "cgroup.procs").read_text().split()
        for pid in filter(None, map(int, procs)):  # 0: seen from another namespace
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def make(memory, processes):
    """A new ControlGroup with these limits, or None if this process may make none."""
    name = f"{PREFIX}{secrets.token_hex(8)}"
    for version, memory_parent, processes_parent in _places():
        group = ControlGroup(version, memory_parent / name, processes_parent / name)
        try:
            for folder in group._folders:
                folder.mkdir()
            group.limit(memory, processes)
            return group
        except OSError:
            for folder in group._folders:
                if folder.exists():
                    os.rmdir(folder)
    return None


def sweep():
    """Remove the empty groups of graders that were killed."""
    parents = {parent for _, *both in _places() for parent in both}
    left = [folder for parent in parents for folder in parent.glob(f"{PREFIX}*")]
    for folder in left:
        try:
            if time.time() - folder.stat().st_mtime > OLD:
                folder.rmdir()  # fails if anything is in it
        except OSError:
            pass


def _places():
    """Where a group might be made: (version, folder for memory, for processes)."""
    try:
        lines = OWN.read_text().splitlines()
    except OSError:
        return
    own = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), path.lstrip("/"))
    if (MOUNTED / "cgroup.controllers").exists():
        for parent in ((MOUNTED / own.get("", "")).parent, MOUNTED):
            if parent.is_relative_to(MOUNTED):
                yield 2, parent, parent
        return
    for inside in (True, False):
        yield (
            1,
            MOUNTED / "memory" / (own.get("memory", "") if inside else ""),
            MOUNTED / "pids" / (own.get("pids", "") if inside else ""),
        )
