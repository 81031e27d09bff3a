"""How a worker is confined: what it may see and do, and four ways to see to it.

Bubblewrap and `unshare` make the same view of the machine: no network, no process but
the worker's own, Python and the course read-only, and one small folder in memory to
write to. Nothing else of the disk is there. Root starts each as a user of its own: root
owns `/dev/null` and the kernel's settings, even there. In a container that forbids
both, such a user still reads what everybody may and can change nothing. Last, a worker
is a process like any other, which can do what the user can.
"""

import os
import secrets
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from course_lib.grading.views import COURSE, SCRATCH, SCRATCH_BYTES, WORKER, view

DEVICES = ("null", "zero", "random", "urandom")


@dataclass(frozen=True)
class Sandbox:
    """A way to run an untrusted command.

    Attributes:
        name: as reports give it
        of_record: whether a score from it may count
        program: what has to be on the PATH for it, "" for nothing
        confine: (argv, user) -> argv that does the same, confined
        own_user: whether each worker runs as the user that `confine` is given
    """

    name: str
    of_record: bool
    program: str
    confine: Callable[[list[str], int], list[str]]
    own_user: bool = False

    @property
    def has_view(self):
        """Whether the worker sees a view of its own, and not the user's disk."""
        return self.of_record


def _bubblewrap(*options):
    """Bubblewrap, with options that not every version knows."""

    def confine(argv, user, steps=None):
        steps = steps or view()
        command = [shutil.which("bwrap"), "--unshare-all", "--unshare-user", *options]
        command += ["--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]
        command += ["--die-with-parent", "--new-session"]
        size = ["--size", str(SCRATCH_BYTES)]
        command += [*size, "--tmpfs", SCRATCH]
        for kind, source, target in steps:
            if kind == "link":
                command += ["--symlink", source, target]
            elif kind == "empty":
                command += ["--tmpfs", target]
            else:
                command += ["--ro-bind", source, target]
        command += ["--proc", "/proc", "--dev", "/dev", *size, "--tmpfs", "/dev/shm"]
        empty = [target for kind, _, target in steps if kind == "empty"]
        # Who is root outside may else write to the kernel's settings in /proc.
        for folder in (*empty, "/proc", "/dev", "/"):
            command += ["--remount-ro", folder]
        return [*command, "--chdir", SCRATCH, "--", *argv]

    return confine


def _namespaces(argv, user, steps=None):
    """`unshare` and the mounts by hand: for machines without bubblewrap."""
    root = "/sys"  # any folder will do: this process alone sees what is put over it
    own = f"mount -t tmpfs -o size={SCRATCH_BYTES},nosuid,nodev none {root}"
    lines = ["set -e", f"mount -t tmpfs -o mode=755,size=1m none {root}"]
    lines += [f"mkdir {root}{SCRATCH}", own + SCRATCH]
    for kind, source, target in steps or view():
        place = shlex.quote(root + target)
        if kind == "link":
            lines.append(f"ln -s {shlex.quote(source)} {place}")
            continue
        lines.append(_touch(place) if kind == "file" else f"mkdir -p {place}")
        if kind == "empty":
            lines.append(f"mount -t tmpfs -o size=1m none {place}")
        else:
            lines.append(f"mount --rbind {shlex.quote(source)} {place}")
    lines.append(_READ_ONLY.format(root=root, scratch=SCRATCH))
    lines += [f"mkdir -p {root}/proc {root}/dev/shm {root}/old", f"{own}/dev/shm"]
    lines += [f"mount -t proc -o nosuid,nodev,noexec none {root}/proc"]
    lines += [f"echo 0 > {root}/proc/sys/user/max_user_namespaces"]
    lines += [f"mount -o remount,ro {root}/proc"]
    for name in DEVICES:
        lines += [f"> {root}/dev/{name}", f"mount --bind /dev/{name} {root}/dev/{name}"]
    lines += [f"cd {root}", "pivot_root . old", "umount -l old", "rmdir old"]
    lines += ["mount -o remount,bind,ro /", f"cd {SCRATCH}"]
    # Not `exec`: the shell stays process 1, and with it ends whatever was started.
    drop = "setpriv --no-new-privs --bounding-set=-all --inh-caps=-all"
    lines += [f"{drop} {shlex.join(argv)}", "exit 0"]
    new = ["--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts"]
    command = ["unshare", *new, "--fork", "--kill-child=KILL"]
    script = "\n".join(lines)
    return _plain([*command, "--", "/bin/sh", "-c", script], user)


# Every mount below, those that came with another too. What was mounted noexec stays so.
_READ_ONLY = """
while read -r _ _ _ _ at _; do
    at=$(printf '%b' "$at")
    [ -e "$at" ] || continue  # it is below what was put over it
    case "$at" in
    {root}{scratch}) ;;
    {root}/*)
        mount -o remount,bind,ro,nosuid,nodev "$at" 2>&- ||
        mount -o remount,bind,ro,nosuid,nodev,noexec "$at" ;;
    esac
done < /proc/self/mountinfo"""


def _of_own_user(confine):
    """The same for root, by a user who owns nothing outside, /dev/null neither.

    What that user may not reach, root first binds to where everybody may.
    """

    def confined(argv, user):
        steps, lines, open_place = [], [], "/run"  # seen by this process alone
        for kind, source, target in view():
            if kind in ("read", "file") and not _everybody_may_reach(source):
                place = f"{open_place}/{len(steps)}"
                lines.append(f"{'mkdir' if kind == 'read' else 'touch'} {place}")
                lines.append(f"mount --rbind {shlex.quote(source)} {place}")
                source = place
            steps.append((kind, source, target))
        command = _as_user(confine(argv, user, steps), user)
        if not lines:
            return command
        lines.insert(0, f"mount -t tmpfs -o mode=755,size=1m none {open_place}")
        script = "\n".join(["set -e", *lines, f"exec {shlex.join(command)}"])
        return _plain(["unshare", "--mount", "/bin/sh", "-c", script], user)

    return confined


def _everybody_may_reach(path):
    folders = Path(path).resolve().parents
    return all(folder.stat().st_mode & 0o001 for folder in folders)


def _touch(place):
    """What makes an empty file in a folder that may not be there yet."""
    return f'mkdir -p "$(dirname {place})" && touch {place}'


def _plain(argv, user):
    """The same command, which the kernel ends if this process is killed."""
    if shutil.which("setpriv"):
        return ["setpriv", "--pdeathsig", "KILL", *argv]
    return argv


def _as_user(argv, user):
    """The same command as a user who owns nothing and has no rights."""
    return [*_becoming(user), "--pdeathsig", "KILL", *argv]


def _becoming(user):
    return [
        *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"),
        *("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"),
    ]


def new_user():
    """The number of a user that nobody is."""
    return 2**30 + secrets.randbits(29)


def end_user(user):
    """Kill every process of a user."""
    subprocess.run([*_becoming(user), "/bin/sh", "-c", "kill -KILL -1"], check=False)


def end_stuck():
    """End what a killed grader may leave: a bubblewrap that waits for its other half.

    It dies with that half only once it has begun, and before that it runs nothing.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = _state(folder)
            if state["Name"] != "bwrap" or len(state["NSpid"].split()) == 1:
                continue
            ours = os.fsencode(f"{COURSE}/{WORKER}")
            orphaned = _state(folder.with_name(state["PPid"]))["Name"] != "bwrap"
            if orphaned and ours in (folder / "cmdline").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)
        except (OSError, KeyError):
            pass  # it has ended, or is another user's


def _state(process):
    lines = (process / "status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


PLAIN = Sandbox("plain", False, "", _plain)
# Best first. Older versions of bubblewrap cannot close the door to more namespaces.
_BUBBLEWRAPS = (_bubblewrap("--disable-userns"), _bubblewrap())
SANDBOXES = (
    *(
        Sandbox("bubblewrap", True, "bwrap", _of_own_user(each), own_user=True)
        for each in _BUBBLEWRAPS
    ),
    *(Sandbox("bubblewrap", True, "bwrap", each) for each in _BUBBLEWRAPS),
    Sandbox("namespaces", True, "unshare", _of_own_user(_namespaces), own_user=True),
    Sandbox("namespaces", True, "unshare", _namespaces),
    Sandbox("user", False, "setpriv", _as_user, own_user=True),
    PLAIN,
)


def candidates():
    """The sandboxes whose programs are on this machine, best first."""
    own_users = os.geteuid() == 0 and shutil.which("setpriv")
    return [
        sandbox
        for sandbox in SANDBOXES
        if not sandbox.program or shutil.which(sandbox.program)
        if not sandbox.own_user or own_users
    ]
