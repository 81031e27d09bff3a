"""Workers: talking to one, ending it, the spare, control groups, doctor's advice."""

import errno
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import pytest
from fake_grader import started_at, wait_until_gone
from hostile.confined import confine, release

from course_lib.grading import (
    channel,
    control_group,
    doctor,
    process,
    sandbox,
    views,
    workers,
)
from course_lib.grading.channel import Channel, Closed, Stopped
from course_lib.grading.process import Limits, NoWorker, Worker

LIMITS = Limits(memory=2**28, processes=32)
SECONDS = 30


@pytest.fixture(autouse=True)
def own_choice():
    yield
    release()


class Other:
    """The other end of a channel: reads one request, then sends what it is told to.

    Args:
        replies: called with the request's number -> bytes to send, in order
    """

    def __init__(self, *replies):
        self.channel, self._replies = Channel(), replies
        self._requests, self._out = map(os.dup, self.channel.theirs)
        self.channel.give()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        with open(self._requests, "rb") as requests, open(self._out, "wb") as out:
            self.request = json.loads(requests.readline())
            try:
                for reply in self._replies:
                    out.write(reply(self.request["number"]))
                    out.flush()
            except BrokenPipeError:
                pass

    def ask(self, request=None, seconds=SECONDS):
        try:
            return self.channel.ask(request or {}, seconds)
        finally:
            self.channel.close()
            self._thread.join()


def line(reply):
    """What sends a reply to the request, with its number."""
    return lambda number: json.dumps({"number": number} | reply).encode() + b"\n"


GOOD = line({"values": []})
NO_REPLIES = {
    "nothing": b"\n\n\n",
    "no JSON": b"\xff\xfe{[\n",
    "no object": b'[{"number": 1}]\n3\n"a"\nnull\n',
    "another number": b'{"number": 1, "values": [3]}\n' * 1000,
    "no number": b'{"values": [3]}\n',
    "a number as text": lambda number: b'{"number": "%d"}\n' % number,
    "a list of numbers": lambda number: b'{"number": [%d]}\n' % number,
    "too deep": lambda number: b'{"number": %d, "a": ' % number + b"[" * 1900 + b"\n",
    "too many lists": lambda number: (
        b'{"number": %d, "a": [' % number + b"[]," * 10**6 + b"0]}\n"
    ),
    "half of a line": lambda number: b'{"number": %d' % number + b"\n",
}


@pytest.mark.parametrize("sent", NO_REPLIES.values(), ids=NO_REPLIES)
def test_what_is_no_reply_to_the_request_is_passed_over(sent):
    other = Other(sent if callable(sent) else lambda number: sent, GOOD)
    assert other.ask()["values"] == []


def test_a_reply_may_come_in_pieces_and_be_large():
    text = "x" * 2**24
    whole = line({"values": text})
    other = Other(lambda number: whole(number)[:7], lambda number: whole(number)[7:])
    assert other.ask({"cell": text})["values"] == text
    assert other.request["cell"] == text


FLOODS = {
    "a line without an end": lambda number: b"x" * 2**20,
    "lines of other replies": lambda number: b"[],\n" * 2**18,
    "empty lines": lambda number: b"\n" * 2**20,
    "replies of a million lists": lambda number: (
        b'{"number": %d, "values": [' % number + b"[]," * 10**6 + b"0\n"
    ),
}


@pytest.mark.parametrize("piece", FLOODS.values(), ids=FLOODS)
def test_floods_cost_neither_memory_nor_more_time_than_there_is(monkeypatch, piece):
    monkeypatch.setattr(channel, "MAX_REPLY", 2**22)
    other = Other(*[piece] * 1000)
    tracemalloc.start()
    begun = time.monotonic()
    with pytest.raises(Stopped, match="more than the grader accepts|within 0.5 s"):
        other.ask(seconds=0.5)
    assert time.monotonic() - begun < 0.5 + 1
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


def test_who_closes_its_end_or_says_nothing_is_told_apart():
    with pytest.raises(Closed):
        Other().ask()
    with pytest.raises(Stopped, match=r"^did not finish within 0\.1 s$"):
        Other(lambda number: time.sleep(0.3) or b"").ask(seconds=0.1)


@pytest.fixture
def plain():
    worker = Worker(sandbox.PLAIN, LIMITS)
    worker.ready()
    yield worker
    worker.stop()


def run(worker, cell):
    reply = worker.ask({"cell": cell, "name": "<cell>"}, SECONDS)
    assert reply["error"] is None


def test_the_folder_of_a_plain_worker_goes_whatever_is_in_it(plain):
    folder = Path(plain._folder.name)
    run(plain, "import os\nopen('file', 'w').close(); os.symlink('/', 'link')\n"
        "os.mkdir('closed'); os.mkdir('closed/d'); os.chmod('closed', 0)\n"
        "for i in range(1100): os.mkdir('d'); os.chdir('d')")  # fmt: skip
    assert folder.exists()
    plain.stop()
    assert not folder.exists()


def test_what_detached_itself_in_a_plain_worker_ends_with_its_control_group(plain):
    if not plain.grouped:
        pytest.skip("No control group on this machine.")
    run(plain, "import os, time\nif os.fork() == 0:\n    os.setsid()\n"
        "    if os.fork() == 0:\n        with open('pid', 'w') as f: f.write(str("
        "os.getpid()))\n        time.sleep(1000)\n    os._exit(0)")  # fmt: skip
    told, deadline = Path(plain._folder.name, "home", "pid"), time.monotonic() + SECONDS
    while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    handle = os.pidfd_open(int(told.read_text()))
    plain.stop()
    ended = select.poll()
    ended.register(handle, select.POLLIN)
    assert ended.poll(SECONDS * 1000) != []
    os.close(handle)


def test_a_worker_can_be_ended_twice_and_at_any_moment():
    for confined in {workers.choose(LIMITS), sandbox.PLAIN}:
        worker = Worker(confined, LIMITS)
        worker.stop()
        worker.stop()
        worker = Worker(confined, LIMITS)
        worker.ready()
        os.killpg(worker._process.pid, signal.SIGKILL)
        with pytest.raises(Stopped, match="ended the process it ran in"):
            while True:  # what is in the sandbox ends a moment later
                worker.ask({"cell": "1", "name": ""}, SECONDS)
        worker.stop()


def test_a_worker_whose_sandbox_ended_meanwhile_can_be_ended():
    worker = Worker(confine("bubblewrap"), LIMITS)
    worker.ready()
    os.kill(worker._descendants()[0], signal.SIGKILL)
    worker._process.wait(SECONDS)
    worker.stop()
    assert not worker.alive


def test_no_zombie_is_left_of_a_sandbox():
    worker = Worker(confine("bubblewrap"), LIMITS)
    worker.ready()
    pids = [worker._process.pid, *worker._descendants()]
    worker.stop()
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_the_spare_is_the_worker_that_is_taken_next():
    confined = workers.choose(LIMITS)
    workers.close_spare()
    workers.start_spare(confined, LIMITS)
    spare = workers._spare
    workers.start_spare(confined, LIMITS)
    assert workers._spare is spare
    taken = workers.take(confined, LIMITS)
    assert taken is spare and workers._spare is None
    taken.stop()


@pytest.mark.parametrize("dead", ["killed", "other limits", "killed while it waits"])
def test_a_spare_that_will_not_do_is_ended_and_replaced(dead):
    confined = workers.choose(LIMITS)
    workers.close_spare()
    workers.start_spare(confined, LIMITS)
    spare = workers._spare
    if dead != "other limits":
        os.killpg(spare._process.pid, signal.SIGKILL)
    if dead == "killed":
        spare._process.wait()
    limits = Limits() if dead == "other limits" else LIMITS
    taken = workers.take(confined, limits)
    assert taken is not spare and not spare.alive and taken.limits == limits
    run(taken, "1")
    taken.stop()


class Interrupted(BaseException):
    """What a signal's handler raises."""


def test_a_worker_whose_start_is_interrupted_is_ended_too(monkeypatch):
    workers.choose(LIMITS)
    workers.close_spare()
    pids, start = [], Worker._start

    def start_and_interrupt(worker):
        start(worker)
        os.kill(os.getpid(), signal.SIGTERM)
        pids.append(worker._process.pid)  # not before the start has come to its end

    def interrupt(number, frame):
        raise Interrupted

    monkeypatch.setattr(Worker, "_start", start_and_interrupt)
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with pytest.raises(Interrupted):
            Worker(confine("bubblewrap"), LIMITS)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert Path(f"/proc/{pids[0]}").exists()
    workers.close_all()
    assert not Path(f"/proc/{pids[0]}").exists() and not process.started


def test_what_a_killed_grader_left_of_a_sandbox_is_ended():
    confine("bubblewrap")
    (*_, older) = (each for each in sandbox.SANDBOXES if each.program == "bwrap")
    worker = f"{views.COURSE}/{views.WORKER}"
    bubblewrap, *options = older.confine([worker], None)
    told, tell = os.pipe()
    block, go_on = os.pipe()
    # The newer form, which lets in no more namespaces, cannot be told to wait.
    wait = ["--info-fd", str(tell), "--userns-block-fd", str(block)]
    half = subprocess.Popen([bubblewrap, *wait, *options], pass_fds=(tell, block))
    os.close(tell)
    with open(told) as text:
        other_half = json.load(text)["child-pid"]
    left = [(other_half, started_at(other_half))]
    sandbox.end_stuck()  # not of one whose grader lives
    half.kill()
    half.wait()
    assert wait_until_gone(left, 0.5) == left
    sandbox.end_stuck()
    assert wait_until_gone(left) == []
    os.close(block)
    os.close(go_on)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # has threads
def test_a_fork_has_no_spare_and_leaves_that_of_its_parent_alone():
    confined = workers.choose(LIMITS)
    workers.close_spare()
    workers.start_spare(confined, LIMITS)
    spare = workers._spare
    child = os.fork()
    if not child:  # nothing but plain calls here: the child is a test session as well
        try:
            mine = workers._spare is None
            workers.close_spare()
            worker = workers.take(confined, LIMITS)
            mine = mine and worker is not spare
            worker.stop()
        finally:
            os._exit(0 if mine else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert workers.take(confined, LIMITS) is spare
    run(spare, "1")
    spare.stop()


def test_a_spare_that_cannot_start_is_no_trouble_yet(monkeypatch):
    chosen = workers.choose(LIMITS)
    workers.close_spare()
    monkeypatch.setattr(subprocess, "Popen", refuse)
    workers.start_spare(chosen, LIMITS)
    assert workers._spare is None
    with pytest.raises(NoWorker, match="Resource temporarily unavailable"):
        workers.take(chosen, LIMITS)


def refuse(*args, **options):
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def test_the_sandbox_is_chosen_once(monkeypatch):
    chosen = workers.choose(LIMITS)
    monkeypatch.setattr(workers, "try_out", lambda *a: pytest.fail("tried again"))
    assert workers.choose(LIMITS) is chosen


def group(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_a_control_group_of_version_2_is_limited_by_its_files(tmp_path):
    folder = group(tmp_path / "own", memory__swap__max="max")
    made = control_group.ControlGroup(2, folder, folder)
    made.limit(1234, 56)
    made.add(789)
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert written == {
        "memory.max": "1234",
        "memory.swap.max": "0",
        "pids.max": "56",
        "cgroup.procs": "789",
    }
    assert not made.out_of_memory()
    group(folder, memory__events="low 0\noom 3\noom_kill 0\n")
    assert not made.out_of_memory()
    group(folder, memory__events="low 0\noom 3\noom_kill 1\n")
    assert made.out_of_memory()


def test_a_control_group_of_version_1_is_limited_by_its_files(tmp_path):
    memory, processes = group(tmp_path / "memory"), group(tmp_path / "pids")
    made = control_group.ControlGroup(1, memory, processes)
    made.limit(1234, 56)
    made.add(789)
    assert (memory / "memory.limit_in_bytes").read_text() == "1234"
    assert (processes / "pids.max").read_text() == "56"
    for folder in (memory, processes):
        assert (folder / "cgroup.procs").read_text() == "789"
    group(memory, memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert made.out_of_memory()


PLACES = {
    "2, of a session": (
        {"cgroup.controllers": "memory pids"},
        "0::/user/session\n",
        [(2, "user", "user"), (2, "", "")],
    ),
    "1": (
        {},
        "9:name=systemd:/\n8:pids:/a\n4:memory:/b/c\n3:cpu,cpuset:/\n0::/\n",
        [(1, "memory/b/c", "pids/a"), (1, "memory", "pids")],
    ),
    "none": ({}, None, []),
}


@pytest.mark.parametrize("files, own, expected", PLACES.values(), ids=PLACES)
def test_where_a_group_might_be_made(tmp_path, monkeypatch, files, own, expected):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "own").write_text(own) if own else None
    monkeypatch.setattr(control_group, "MOUNTED", tmp_path)
    monkeypatch.setattr(control_group, "OWN", tmp_path / "own")
    assert list(control_group._places()) == [
        (version, tmp_path / memory, tmp_path / processes)
        for version, memory, processes in expected
    ]


def test_a_group_is_made_where_it_can_be_or_not_at_all(tmp_path, monkeypatch):
    nowhere, there = tmp_path / "nowhere", group(tmp_path / "there")
    places = [(2, nowhere, nowhere), (2, there, there)]
    monkeypatch.setattr(control_group, "_places", lambda: places)
    made = control_group.make(1234, 56)
    (folder,) = there.iterdir()
    assert (folder / "pids.max").read_text() == "56" and made.version == 2
    del places[1]
    assert control_group.make(1234, 56) is None


def test_a_group_that_cannot_be_limited_is_not_left(tmp_path, monkeypatch):
    monkeypatch.setattr(control_group, "_places", lambda: [(2, tmp_path, tmp_path)])

    def refuse(self, memory, processes):
        raise PermissionError

    monkeypatch.setattr(control_group.ControlGroup, "limit", refuse)
    assert control_group.make(1234, 56) is None and list(tmp_path.iterdir()) == []


def test_groups_that_a_killed_grader_left_are_removed_later(tmp_path, monkeypatch):
    monkeypatch.setattr(control_group, "_places", lambda: [(2, tmp_path, tmp_path)])
    names = [f"attention-course-{number}" for number in range(3)]
    old, used, fresh, other = (group(tmp_path / name) for name in [*names, "other"])
    group(used, cgroup__procs="7")
    for folder in (old, used, other):
        os.utime(folder, (0, 0))
    control_group.sweep()
    assert set(tmp_path.iterdir()) == {used, fresh, other}


def test_a_group_that_is_removed_ends_what_is_in_it():
    made = control_group.make(2**28, 8)
    if made is None:
        pytest.skip("No control group on this machine.")
    with subprocess.Popen(["sleep", "1000"]) as sleeper:
        made.add(sleeper.pid)
        made.remove()
        assert sleeper.wait(SECONDS) == -signal.SIGKILL
    assert not any(folder.exists() for folder in made._folders)


def examination(monkeypatch, settings=(), grouped=True, **found):
    """What doctor says where sandboxes do so: True, or the reason why they do not."""

    def attempt(candidate, limits):
        told = found.get(candidate.name, "There is no such thing.")
        trouble = "" if told is True else told
        return workers.Trial(candidate, told is True, grouped and not trouble, trouble)

    monkeypatch.setattr(doctor, "_try", attempt)
    monkeypatch.setattr(doctor, "SETTINGS", settings)
    return doctor.examine()


FAILS = "bwrap: No permissions to create a new namespace"
ADVICE = {
    "all is well": ({"bubblewrap": True, "plain": True}, "Nothing to improve."),
    "no control group": (
        {"bubblewrap": True, "plain": True, "grouped": False},
        "Limit memory as a whole",
    ),
    "no bubblewrap": (
        {"namespaces": True, "plain": True},
        "Install bubblewrap: sudo apt-get install bubblewrap",
    ),
    "nothing at all": ({"plain": True}, "Install bubblewrap"),
    "a setting that hinders": (
        {"bubblewrap": FAILS, "plain": True, "user": True,
         "settings": (("kernel/ostype", "Linux", "x"),)},
        "Allow user namespaces: sudo sysctl -w kernel.ostype=x",
    ),
    "another setting": (
        {"bubblewrap": FAILS, "plain": True,
         "settings": (("kernel/ostype", "Minix", "x"), ("kernel/none", "", ""))},
        "This looks like a container that forbids namespaces: start it with ",
    ),
    "not even plain": ({"bubblewrap": FAILS, "plain": "No."}, "This looks like a con"),
}  # fmt: skip


@pytest.mark.parametrize("found, advice", ADVICE.values(), ids=ADVICE)
def test_doctor_gives_the_advice_that_helps_most(monkeypatch, found, advice):
    examined = examination(monkeypatch, **found)
    assert examined.advice.startswith(advice)
    names = [trial.sandbox.name for trial in examined.trials]
    assert names == ["bubblewrap", "namespaces", "user", "plain"]
    works = [name for name in names if found.get(name) is True]
    best = examined.best and examined.best.sandbox.name
    assert best == (works[0] if works else None)


def test_doctor_says_what_a_sandbox_said(monkeypatch, tmp_path):
    script = tmp_path / "bwrap"
    script.write_text("#!/bin/sh\necho 'bwrap: not here' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    trials = {trial.sandbox.name: trial for trial in doctor.examine().trials}
    assert trials["bubblewrap"].trouble == "bwrap: bwrap: not here"
    assert trials["namespaces"].trouble == "There is no unshare on the PATH."
    assert trials["plain"].works and not trials["bubblewrap"].works


def test_a_worker_without_python_says_so_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    worker = Worker(sandbox.PLAIN, LIMITS)
    with pytest.raises(NoWorker, match="could not start: ended the process"):
        worker.ready()
    assert list(tmp_path.iterdir()) == []
