"""How a worker is confined: what it may see and do, and four ways to see to it.

Bubblewrap and `unshare` make the same view of the machine: no network, no process but
the worker's own, Python and the course read-only, and one small folder in memory to
write to. Nothing else of the disk is there. In a container that forbids both, root can
still give each worker a user of its own, who reads what everybody may and can change
nothing. Last, a worker is a process like any other, which can do what the user can.
"""

import os
import secrets
import shlex
import shutil
import site
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIBRARY = HERE.parent
COURSE = "/course"  # in the view: course_lib without its grading, and the worker
SCRATCH = "/tmp"  # in the view: the one folder to write to  # noqa: S108
SCRATCH_BYTES = 64 * 2**20
COPIED = ("worker.py", "calling.py", "magics.py")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives")
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
        """Whether the worker sees the view below, and not the user's own disk."""
        return self.of_record


def packages():
    """The folders of installed packages, where NumPy is."""
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return [folder for folder in folders if os.path.isdir(folder)]


def hidden_places():
    """Folders that no worker may see: questions and answers, tests, solutions."""
    own = LIBRARY.parent
    beside = () if str(own) in packages() else ("tests", "solutions")  # if a checkout
    return [str(HERE), *(str(own / name) for name in beside)]


def view():
    """What a worker sees, as a list of (kind, source, target), outer folders first.

    Kinds are "read" (a file or folder, read-only), "link" and "empty" (a folder).
    """
    steps = []
    for path in SYSTEM:
        if os.path.islink(path):
            steps.append(("link", os.readlink(path), path))
        elif os.path.isdir(path):
            steps.append(("read", path, path))
    own = str(LIBRARY.parent)
    installed = own in packages()  # and not a checkout
    for path in sorted({sys.base_prefix, sys.prefix, *packages(), own}, key=len):
        if path == own and not installed:
            steps += [("empty", "", own)] if _in_view(own, steps) else []
        elif not _in_view(path, steps):
            steps.append(("read", path, path))
    if installed:
        steps.append(("empty", "", str(LIBRARY)))
    steps += [("read", path, path) for path in SETTINGS if os.path.exists(path)]
    grading = f"{COURSE}/course_lib/grading"
    steps += [
        ("read", str(LIBRARY), f"{COURSE}/course_lib"),
        ("empty", "", grading),
        ("read", str(HERE / "in_worker.py"), f"{grading}/__init__.py"),
        *(("read", str(HERE / name), f"{COURSE}/{name}") for name in COPIED),
    ]
    return steps


def _in_view(path, steps):
    """Whether what is at `path` can be seen after these steps."""
    around = [kind for kind, _, at in steps if Path(path).is_relative_to(at)]
    return around[-1:] == ["read"]


def _bubblewrap(*options):
    """Bubblewrap, with options that not every version knows."""

    def confine(argv, user):
        command = [shutil.which("bwrap"), "--unshare-all", "--unshare-user", *options]
        command += ["--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]
        command += ["--die-with-parent", "--new-session"]
        for kind, source, target in view():
            if kind == "read":
                command += ["--ro-bind", source, target]
            elif kind == "link":
                command += ["--symlink", source, target]
            else:
                command += ["--tmpfs", target]
        command += ["--proc", "/proc", "--dev", "/dev"]
        for folder in (SCRATCH, "/dev/shm"):  # noqa: S108
            command += ["--size", str(SCRATCH_BYTES), "--tmpfs", folder]
        empty = [target for kind, _, target in view() if kind == "empty"]
        # Who is root outside may else write to the kernel's settings in /proc.
        for folder in (*empty, "/proc", "/dev", "/"):
            command += ["--remount-ro", folder]
        return [*command, "--chdir", SCRATCH, "--", *argv]

    return confine


def _namespaces(argv, user):
    """`unshare` and the mounts by hand: for machines without bubblewrap."""
    root = "/sys"  # any folder will do: this process alone sees what is put over it
    lines = ["set -e", f"mount -t tmpfs -o mode=755,size=1m none {root}"]
    for kind, source, target in view():
        place = shlex.quote(root + target)
        if kind == "read":
            make = "mkdir -p" if os.path.isdir(source) else _touch(place)
            lines += [f"{make} {place}", f"mount --rbind {shlex.quote(source)} {place}"]
            lines += [f"mount -o remount,bind,ro,nosuid,nodev {place}"]
        elif kind == "link":
            lines.append(f"ln -s {shlex.quote(source)} {place}")
        else:
            lines += [f"mkdir -p {place}", f"mount -t tmpfs -o size=1m none {place}"]
    lines += [f"mkdir -p {root}/proc {root}/dev/shm {root}{SCRATCH} {root}/old"]
    lines += [f"mount -t proc -o nosuid,nodev,noexec none {root}/proc"]
    lines += [f"echo 0 > {root}/proc/sys/user/max_user_namespaces"]
    lines += [f"mount -o remount,ro {root}/proc"]
    empty = [target for kind, _, target in view() if kind == "empty"]
    lines += [
        f"mount -o remount,bind,ro {shlex.quote(root + place)}" for place in empty
    ]
    for name in DEVICES:
        lines += [f"> {root}/dev/{name}", f"mount --bind /dev/{name} {root}/dev/{name}"]
    size = f"size={SCRATCH_BYTES},nosuid,nodev"
    for folder in (SCRATCH, "/dev/shm"):  # noqa: S108
        lines += [f"mount -t tmpfs -o {size} none {root}{folder}"]
    lines += [f"cd {root}", "pivot_root . old", "umount -l old", "rmdir old"]
    lines += ["mount -o remount,bind,ro /", f"cd {SCRATCH}"]
    # Not `exec`: the shell stays process 1, and with it ends whatever was started.
    drop = "setpriv --no-new-privs --bounding-set=-all --inh-caps=-all"
    lines += [f"{drop} {shlex.join(argv)}", "exit 0"]
    new = ["--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts"]
    command = ["unshare", *new, "--fork", "--kill-child=KILL"]
    script = "\n".join(lines)
    return _plain([*command, "--", "/bin/sh", "-c", script], user)


def _touch(place):
    """What makes an empty file in a folder that may not be there yet."""
    return f'mkdir -p "$(dirname {place})" && touch'


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


def furnish(folder):
    """Put what a worker may see into a folder; returns the student's own folder in it.

    For sandboxes without a view of their own. `course_lib` comes without `grading`,
    which holds questions and answers, and without what needs it.
    """
    hidden = shutil.ignore_patterns("grading", "cli.py", "__pycache__")
    shutil.copytree(LIBRARY, folder / "course_lib", ignore=hidden)
    (folder / "course_lib" / "grading").mkdir()
    stub = folder / "course_lib" / "grading" / "__init__.py"
    shutil.copyfile(HERE / "in_worker.py", stub)
    for name in COPIED:
        shutil.copyfile(HERE / name, folder / name)
    home = folder / "home"
    home.mkdir()
    return home


PLAIN = Sandbox("plain", False, "", _plain)
# Best first. Older versions of bubblewrap cannot close the door to more namespaces.
SANDBOXES = (
    Sandbox("bubblewrap", True, "bwrap", _bubblewrap("--disable-userns")),
    Sandbox("bubblewrap", True, "bwrap", _bubblewrap()),
    Sandbox("namespaces", True, "unshare", _namespaces),
    Sandbox("user", False, "setpriv", _as_user, own_user=True),
    PLAIN,
)


def candidates():
    """The sandboxes whose programs are on this machine, best first."""
    return [
        sandbox
        for sandbox in SANDBOXES
        if not sandbox.program or shutil.which(sandbox.program)
        if not sandbox.own_user or os.geteuid() == 0
    ]
