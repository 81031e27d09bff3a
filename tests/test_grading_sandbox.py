"""What a worker sees and can do: probes inside every sandbox of record."""

import os
import select
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hostile import escape
from hostile.confined import OF_RECORD, confine, release
from hostile.doors import Doors

from course_lib.grading import sandbox, views, workers
from course_lib.grading.calling import encode
from course_lib.grading.process import Limits, NoWorker, Worker

LIMITS = Limits(memory=2**28, processes=32)
ARGUMENTS = {"arguments": [encode(np.zeros((2, 3)))], "n_returns": 1}
SECONDS = 30


@pytest.fixture(scope="module", autouse=True)
def own_choice():
    yield
    release()


@pytest.fixture(scope="module")
def doors():
    """Sockets of the machine that no submission has any business with."""
    with Doors() as opened:
        yield opened


@pytest.fixture(scope="module", params=OF_RECORD)
def prober(request):
    """A worker in each sandbox of record, which runs what it is given."""
    worker = Worker(confine(request.param), LIMITS)
    worker.ready()
    yield worker
    worker.stop()


def told(worker, cell):
    """What a cell's `softmax` raises."""
    cell = "import numpy as np\n" + cell
    assert worker.ask({"cell": cell, "name": "<cell>"}, SECONDS)["error"] is None
    reply = worker.ask({"call": "softmax"} | ARGUMENTS, SECONDS)
    return reply["error"]["message"]


@pytest.mark.parametrize("case", escape.CASES, ids=[c.name for c in escape.CASES])
def test_no_probe_finds_anything(prober, doors, tmp_path, monkeypatch, case):
    monkeypatch.setenv("SECRET_OF_GRADER", "answers")
    (tmp_path / "victim").write_text("untouched")
    cell = case.filled(
        OUTSIDE=tmp_path,
        ROOT=Path(__file__).parents[1],
        PREFIX=sys.prefix,
        BASE=sys.base_prefix,
        PORT=doors.port,
        SOCKET=doors.path,
        ABSTRACT=doors.abstract,
    )[0]
    assert told(prober, cell) == "loot: []"
    assert doors.knocks() == []
    assert [path.name for path in tmp_path.iterdir()] == ["victim"]
    assert (tmp_path / "victim").read_text() == "untouched"


def test_without_a_sandbox_the_same_probes_find_something(doors, tmp_path):
    (tmp_path / "victim").write_text("untouched")
    places = {"OUTSIDE": tmp_path, "ROOT": Path(__file__).parents[1]}
    places |= {"PORT": doors.port, "SOCKET": doors.path, "ABSTRACT": doors.abstract}
    found = {}
    worker = Worker(sandbox.PLAIN, LIMITS)
    worker.ready()
    for case in escape.CASES:
        if case.name in escape.HARMLESS:
            found[case.name] = told(worker, case.filled(**places)[0])
    worker.stop()
    assert len(found) == len(escape.HARMLESS)
    assert [name for name, loot in found.items() if loot == "loot: []"] == []
    assert len(doors.knocks()) == 4


def test_it_is_nobody_outside(prober):
    """A worker that root starts is not root, and no other worker's user."""
    inside = Path(f"/proc/{prober._descendants()[-1]}/status").read_text()
    (users,) = (line for line in inside.splitlines() if line.startswith("Uid:"))
    users = set(map(int, users.split()[1:]))
    assert len(users) == 1
    if os.geteuid() == 0:
        assert users == {prober._user} and min(users) >= 2**30


@pytest.mark.parametrize(
    "candidate", [each for each in sandbox.SANDBOXES if each.of_record]
)
def test_every_variant_of_a_sandbox_of_record_works(candidate):
    confine(candidate.name)
    if candidate not in sandbox.candidates():
        pytest.skip("Only root can give each worker a user of its own.")
    trial, worker = workers.try_out(candidate, LIMITS)
    assert trial.works, trial.trouble
    worker.stop()


def test_its_limits_are_those_that_were_given(prober):
    cell = """
import resource
def softmax(scores):
    raise ValueError([resource.getrlimit(getattr(resource, "RLIMIT_" + name))
                      for name in ("DATA", "NPROC", "FSIZE", "NOFILE", "CORE")])
"""
    limits = [LIMITS.memory, LIMITS.processes, 2**26, 256, 0]
    assert told(prober, cell) == str([(limit, limit) for limit in limits])


def test_its_processes_can_be_counted(prober):
    if not prober.grouped and os.geteuid() == 0:
        pytest.skip("No control group, and limits of users do not hold for root.")
    cell = """
import os, signal
def softmax(scores):
    children = []
    try:
        while True:
            child = os.fork()
            if not child:
                signal.pause()
            children.append(child)
    except BlockingIOError:
        pass
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    raise ValueError(len(children))
"""
    assert 10 < int(told(prober, cell)) < LIMITS.processes


def test_memory_of_all_children_counts(prober):
    if not prober.grouped:
        pytest.skip("No control group on this machine.")
    cell = """
import mmap, os
def softmax(scores):
    child = os.fork()
    if not child:
        shared = mmap.mmap(-1, 2**30)
        while True:
            shared.write(bytes([1]) * 2**20)
    raise ValueError(os.WTERMSIG(os.waitpid(child, 0)[1]))
"""
    assert told(prober, cell) == str(int(signal.SIGKILL))


TEMPORARY = views.SCRATCH
# Where a checkout, its Python and its packages may lie.
LAYOUTS = {
    "beside": ("/opt/venv", "/usr", "/opt/venv/site-packages", "/srv/course"),
    "around": ("/srv/course/.venv", "/usr", "/srv/course/.venv/lib", "/srv/course"),
    "in a folder of the system": (
        *("/usr/src/app/.venv", "/usr/local", "/usr/src/app/.venv/lib"),
        "/usr/src/app",
    ),
    "below its Python": ("/opt/venv", "/usr", "/opt/venv/lib", "/opt/venv/src/course"),
    "below Python's own folder": (
        *("/opt/conda", "/opt/conda", "/opt/conda/lib", "/opt/conda/course"),
    ),
    "in the temporary folder": (
        f"{TEMPORARY}/c/.venv",
        "/usr",
        f"{TEMPORARY}/c/.venv/lib",
        f"{TEMPORARY}/c",
    ),
    "below a Python there": (
        f"{TEMPORARY}/v",
        f"{TEMPORARY}/v",
        f"{TEMPORARY}/v/lib",
        f"{TEMPORARY}/v/course",
    ),
    "installed": ("/opt/venv", "/usr", "/opt/venv/lib", "/opt/venv/lib"),
    "installed for the user": ("/usr", "/usr", "/u/ann/packages", "/u/ann/packages"),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_wherever_the_course_lies_python_is_seen_and_it_is_not(monkeypatch, layout):
    prefix, base, packages, checkout = layout
    library = Path(checkout, "course_lib")
    monkeypatch.setattr(sys, "prefix", prefix)
    monkeypatch.setattr(sys, "base_prefix", base)
    monkeypatch.setattr(views, "packages", lambda: [packages])
    monkeypatch.setattr(views, "LIBRARY", library)
    monkeypatch.setattr(views, "HERE", library / "grading")
    steps = views.view()

    def is_seen(path):
        around = [kind for kind, _, at in steps if Path(path).is_relative_to(at)]
        return around[-1:] == ["read"]

    for path in (f"{prefix}/bin/python", f"{base}/lib/python3", f"{packages}/numpy"):
        assert is_seen(views.placed(path))
    for path in [*views.hidden_places(), str(library / "in_numpy")]:
        assert not is_seen(path) and not is_seen(views.placed(path))
    assert is_seen("/course/course_lib/in_numpy")
    assert not is_seen("/course/course_lib/grading/grader.py")


@pytest.mark.parametrize("box", OF_RECORD)
def test_a_python_below_the_temporary_folder_is_seen_and_stays_as_it_is(
    monkeypatch, box
):
    confined = confine(box)
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Path(folder, "python").write_text("as it is\n")
        Path(folder, "python").chmod(0o666)
        monkeypatch.setattr(sys, "prefix", folder)
        place = views.placed(f"{folder}/python")
        script = f"cat {place} && touch {place}; ls -a . {TEMPORARY}"
        command = confined.confine(["sh", "-c", script], sandbox.new_user())
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == f"as it is .: . .. {TEMPORARY}: . ..".split()
    assert "Read-only file system" in done.stderr


MOUNTS = """
mount --bind "$1" "$1"
mount -t tmpfs -o noexec,mode=777 none "$1/inside"
shift
exec "$@"
"""


@pytest.mark.parametrize("box", OF_RECORD)
def test_what_is_mounted_inside_of_python_is_read_only_too(monkeypatch, box):
    if os.geteuid() != 0:
        pytest.skip("Only root can mount.")
    confined = confine(box)
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Path(folder, "inside").mkdir()
        monkeypatch.setattr(sys, "prefix", folder)
        command = confined.confine(
            ["touch", views.placed(f"{folder}/inside/new")], sandbox.new_user()
        )
        script = ["unshare", "--mount", "sh", "-e", "-c", MOUNTS, "sh", folder]
        done = subprocess.run([*script, *command], capture_output=True, text=True)
    assert "Read-only file system" in done.stderr


def programs(folder, monkeypatch, **scripts):
    """Put only these on the PATH: name -> what it runs, or None for the real one."""
    for name, script in scripts.items():
        if script is None:
            os.symlink(f"/usr/bin/{name}", folder / name)
        else:
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(workers, "_chosen", None)


def chosen():
    try:
        return workers.choose(LIMITS).name
    finally:
        workers.close_spare()


def test_without_any_program_the_choice_is_plain(tmp_path, monkeypatch):
    programs(tmp_path, monkeypatch)
    assert chosen() == "plain" and not workers._chosen.of_record


def test_a_bubblewrap_that_fails_is_passed_over(tmp_path, monkeypatch):
    programs(tmp_path, monkeypatch, bwrap="exit 1")
    assert [each.name for each in sandbox.candidates()][:2] == ["bubblewrap"] * 2
    assert chosen() == "plain"


def test_without_bubblewrap_the_choice_is_namespaces(tmp_path, monkeypatch):
    confine("namespaces")
    programs(tmp_path, monkeypatch, unshare=None, setpriv=None)
    assert chosen() == "namespaces" and workers._chosen.of_record


def test_a_bubblewrap_of_an_older_version_will_do(tmp_path, monkeypatch):
    confine("bubblewrap")
    old = 'case "$*" in *--disable-userns*) exit 1;; esac; exec /usr/bin/bwrap "$@"'
    programs(tmp_path, monkeypatch, bwrap=old, setpriv=None)
    assert chosen() == "bubblewrap"
    command = workers._chosen.confine(["true"], sandbox.new_user())
    assert "--disable-userns" not in " ".join(command)


TESTS = str(Path(__file__).parent)
LEAKS = {
    "tests": (("--ro-bind", TESTS, TESTS), f"A worker in it sees {TESTS}."),
    "a network": (("--share-net",), "A worker in it sees a network."),
}


@pytest.mark.parametrize("options, trouble", LEAKS.values(), ids=LEAKS)
def test_a_sandbox_that_leaks_is_not_used(options, trouble):
    if options == ("--share-net",) and len(socket.if_nameindex()) == 1:
        pytest.skip("This machine has no network.")
    confine("bubblewrap")
    (tight, *_) = (
        each
        for each in sandbox.SANDBOXES
        if each.name == "bubblewrap" and not each.own_user
    )

    def confine_badly(argv, user):
        command = tight.confine(argv, user)
        place = command.index("--proc")
        return [*command[:place], *options, *command[place:]]

    leaky = replace(tight, confine=confine_badly)
    trial, worker = workers.try_out(leaky, LIMITS)
    assert worker is None and not trial.works and trial.trouble == trouble


def test_a_sandbox_with_other_processes_is_not_used():
    assert workers._leak({"paths": [], "interfaces": ["lo"], "processes": 3}) == ""
    assert "processes" in workers._leak(
        {"paths": [], "interfaces": ["lo"], "processes": 99}
    )


def test_a_machine_that_starts_nothing_says_so(monkeypatch):
    monkeypatch.setattr(workers, "_chosen", None)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(
        NoWorker, match=r"^the grader's worker could not start: .+[^.]$"
    ):
        workers.choose(LIMITS)


STARTS = """
import sys, threading, time
from course_lib.grading import sandbox
from course_lib.grading.process import Limits, Worker
box = next(each for each in sandbox.candidates() if each.name == sys.argv[1])
worker = Worker(box, Limits())
worker.ready()
busy = {"cell": "while True: pass", "name": ""}
threading.Thread(target=worker.ask, args=(busy, 1000)).start()
time.sleep(0.2)
print(worker._descendants()[-1], flush=True)
"""


@pytest.mark.parametrize("box", OF_RECORD)
def test_a_killed_grader_leaves_no_process(box):
    confine(box)
    grader = subprocess.Popen(
        [sys.executable, "-c", STARTS, box], stdout=subprocess.PIPE, text=True
    )
    handle = os.pidfd_open(int(grader.stdout.readline()))
    ended = select.poll()
    ended.register(handle, select.POLLIN)
    grader.kill()
    grader.wait()
    grader.stdout.close()
    try:
        assert ended.poll(SECONDS * 1000) != []
    finally:
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(handle)
