"""Batches: in lanes that may die, in little memory, written whole, and gone on with."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import Future
from pathlib import Path

import pytest
from fake_grader import fake_grade, hand_ins, processes_below, wait_until_gone
from grading_reports import SEED

from course_lib.grading import batch, results
from course_lib.grading.grader import Options
from course_lib.grading.lanes import Here, Lane, Lanes, NoLanes, cores
from course_lib.grading.notebook import sha256
from course_lib.grading.process import NoWorker
from course_lib.grading.reports.files import NoSeed, read_json, read_seed
from course_lib.grading.reports.schema import mistake
from course_lib.grading.results import NoResults, opened, secret_seed
from course_lib.grading.signing import is_signed, sign

OPTIONS = Options(SEED)
TESTS = Path(__file__).parent


def work_of(found):
    """Hand-ins with their contents, as `grade_all` takes them."""
    return ((one, batch.content_of(one)) for one in found)


def graded(found, lanes):
    """Reports by file, from the fake; each once."""
    reports = list(batch.grade_all(work_of(found), lanes, OPTIONS, fake_grade))
    by_file = {report["file"]: report for report in reports}
    assert len(by_file) == len(reports)
    for report in reports:
        assert mistake(report, "report") is None and is_signed(report, SEED)
    return by_file


def expected(found):
    """What the fake says of these, in this process."""
    made = [fake_grade(one, batch.content_of(one), OPTIONS) for one in found]
    return {report["file"]: report for report in made}


def test_every_hand_in_gets_its_report_once_wherever_it_is_graded(tmp_path):
    found = hand_ins(tmp_path / "class", [b"%d" % i for i in range(23)])
    found[5].path.unlink()
    with Here() as here, Lanes(2) as lanes:
        assert graded(found, here) == graded(found, lanes) == expected(found)
    assert (
        expected(found)["02_0005.ipynb"]["trouble"] == "there is no file 02_0005.ipynb"
    )


class Slow(Lane):
    """Grades only when asked to; notes how much waits."""

    count = 3

    def __init__(self):
        self.waiting, self.most, self.most_bytes = {}, 0, 0

    def submit(self, function, hand_in, content, options):
        future = Future()
        self.waiting[future] = (function, hand_in, content, options)
        self.most = max(self.most, len(self.waiting))
        size = sum(len(content) for _, _, content, _ in self.waiting.values())
        self.most_bytes = max(self.most_bytes, size)
        return future

    def grade_one(self):
        future = next(iter(self.waiting))
        function, *arguments = self.waiting.pop(future)
        future.set_result(function(*arguments))


def test_a_few_notebooks_for_each_lane_are_read_before_they_are_graded(
    tmp_path, monkeypatch
):
    lane, contents = Slow(), [b"." * 100] * 30
    found = hand_ins(tmp_path / "class", contents)

    def wait(futures, *_):
        lane.grade_one()
        return real(futures, 5, "FIRST_COMPLETED")

    real = batch.wait
    monkeypatch.setattr(batch, "wait", wait)
    assert graded(found, lane) == expected(found)
    assert lane.most == batch.PER_LANE * lane.count
    monkeypatch.setattr(batch, "MAX_WAITING", 250)
    lane.most_bytes = 0
    assert graded(found, lane) == expected(found)
    assert lane.most_bytes == 300  # and never none, however large one is


def peak_memory(folder, count):
    """Bytes that grading `count` notebooks of 1 MB takes here, in a folder."""
    found = hand_ins(folder / f"class {count}", [bytes(2**20)] * count)
    tracemalloc.start()
    with opened(folder / f"results {count}", False) as there, Lanes(2) as lanes:
        batch.grade_into(there, found, lanes, OPTIONS, lambda *_: None, fake_grade)
        there.summarise(SEED)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_batch(tmp_path):
    peak_memory(tmp_path, 1)  # what is made once
    small, large = peak_memory(tmp_path, 20), peak_memory(tmp_path, 120)
    assert large < small + 2**21


def test_a_dying_lane_costs_only_who_killed_it(tmp_path):
    contents = [b"%d" % i for i in range(20)]
    guilty = {3: b"die", 11: b"fail", 19: b"die"}
    contents[7] = b"once " + os.fsencode(tmp_path / "died")
    for position, content in guilty.items():
        contents[position] = content
    found = hand_ins(tmp_path / "class", contents)
    with Lanes(2) as lanes:
        reports = graded(found, lanes)
    innocent = [one for i, one in enumerate(found) if i not in guilty]
    assert (tmp_path / "died").exists()
    for file, report in expected(innocent).items():
        assert reports.pop(file) == report
    for position, content in guilty.items():
        report = reports.pop(file := found[position].file)
        died = "ended the grader's own process, twice"
        failed = "made the grader itself fail, with KeyError"
        trouble = f"{file} {died if content == b'die' else failed}"
        assert report["trouble"] == trouble
        assert report["submission_sha256"] == sha256(content)
        assert [row["status"] for row in report["questions"]] == ["stopped"]
        assert report["points"] == 0
    assert reports == {}


def test_a_death_that_the_pool_misses_does_not_stop_the_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "CHECK_SECONDS", 0.2)
    missing = "concurrent.futures.process._ExecutorManagerThread.terminate_broken"
    monkeypatch.setattr(missing, lambda self, cause: None)
    once = b"once " + os.fsencode(tmp_path / "died")
    found = hand_ins(tmp_path / "class", [b"1", b"wait 1", once, b"4", b"5", b"6"])
    with Lanes(2) as lanes:
        assert graded(found, lanes) == expected(found)


def test_nor_does_one_before_the_first_look_at_the_lanes(tmp_path, monkeypatch):
    missing = "concurrent.futures.process._ExecutorManagerThread.terminate_broken"
    monkeypatch.setattr(missing, lambda self, cause: None)
    with Lanes(1) as lanes:
        given = lanes.submit(os._exit, 1)
        (lane,) = lanes._lanes()
        lane.join()
        lanes.check()
        assert isinstance(given.exception(timeout=0), lanes.deaths)


def always_dying(hand_in, content, options, spare):
    os._exit(1)


def without_workers(hand_in, content, options, spare):
    raise NoWorker("this machine has no more processes")


@pytest.mark.parametrize(
    "grade, error, says",
    [
        (always_dying, NoLanes, "processes end as soon as they start"),
        (without_workers, NoWorker, "no more processes"),
    ],
)
def test_a_machine_that_cannot_grade_ends_the_batch_and_blames_no_student(
    tmp_path, grade, error, says
):
    found = hand_ins(tmp_path / "class", [b""] * 3)
    with pytest.raises(error, match=says), Lanes(2) as lanes:
        list(batch.grade_all(work_of(found), lanes, OPTIONS, grade))


def spawning(hand_in, content, options, spare):
    """Says that it runs, and stays; its child is ended where it is unwound."""
    child = subprocess.Popen(["sleep", "60"])
    try:
        Path(os.fsdecode(content)).touch()
        time.sleep(60)
    finally:
        child.kill()
        child.wait()


def test_ended_lanes_unwind_what_they_do_and_leave_no_process(tmp_path):
    marks = [tmp_path / "one", tmp_path / "two"]
    found = hand_ins(tmp_path / "class", [os.fsencode(mark) for mark in marks])
    before = processes_below(os.getpid())
    with pytest.raises(KeyboardInterrupt), Lanes(2) as lanes:
        for one, content in work_of(found):
            lanes.submit(spawning, one, content, OPTIONS, True)
        while not all(mark.exists() for mark in marks):
            time.sleep(0.01)
        started = processes_below(os.getpid()) - before
        assert len(started) >= 4
        raise KeyboardInterrupt
    assert wait_until_gone(started) == []


def interrupted_lane(hand_in, content, options, spare):
    """What Ctrl-C in the terminal does to a lane."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
    return fake_grade(hand_in, content, options)


def test_a_lane_leaves_ctrl_c_to_who_started_it(tmp_path):
    found = hand_ins(tmp_path / "class", [b"1", b"2"])
    with Lanes(1) as lanes:
        made = list(batch.grade_all(work_of(found), lanes, OPTIONS, interrupted_lane))
    assert {report["file"]: report for report in made} == expected(found)


def go_on(folder, found, resume=True, grade=fake_grade, options=OPTIONS):
    """Grade into a folder; names of the files that were graded, and that were there."""
    new, old = [], []

    def told(report, was_there):
        (old if was_there else new).append(report["file"])

    with opened(folder, resume) as there, Here() as lanes:
        there.seed(options.seed)
        batch.grade_into(there, found, lanes, options, told, grade)
        there.summarise(SEED)
    return new, old


def written(folder):
    """All reports in a results folder, by file."""
    paths = list((folder / "reports").iterdir())
    reports = [read_json(path) for path in paths]
    assert len({report["file"] for report in reports}) == len(paths)
    assert all(path.name.isascii() and len(path.name) < 100 for path in paths)
    return {report["file"]: report for report in reports}


def test_a_batch_is_written_and_gone_on_with(tmp_path):
    found, folder = hand_ins(tmp_path / "class", [b"1", b"2", b"3"]), tmp_path / "r"
    files = [one.file for one in found]
    assert go_on(folder, found[:2], resume=False) == (files[:2], [])
    assert go_on(folder, found) == (files[2:], files[:2])
    assert written(folder) == expected(found)
    summary = read_json(folder / "summary.json")
    assert mistake(summary, "summary") is None and summary["graded"] == 3
    assert go_on(folder, found) == ([], files)


OTHER = Options(SEED, allow_unsandboxed=True)
CHANGES = {
    "nothing": lambda report: report,
    "points": lambda report: report | {"points": 16},
    "another file": lambda report: sign(report | {"file": "02_9.ipynb"}, SEED),
    "another student": lambda report: sign(report | {"student": "eve"}, SEED),
    "another id": lambda report: sign(report | {"student_id": "7"}, SEED),
    "another content": lambda report: sign(
        report | {"submission_sha256": "0" * 64}, SEED
    ),
    "another grader": lambda report: sign(report | {"grader": "0.0.9"}, SEED),
    "no signature": lambda report: {
        key: report[key] for key in report if key != "signature"
    },
    "no object": lambda report: [report],
}


@pytest.mark.parametrize("name", CHANGES)
def test_only_a_right_report_spares_the_grading(tmp_path, name):
    found = hand_ins(tmp_path / "class", [b"1"])
    folder, files = tmp_path / "results", [found[0].file]
    go_on(folder, found)
    (path,) = (folder / "reports").iterdir()
    path.write_text(json.dumps(CHANGES[name](json.loads(path.read_text()))))
    graded_again, there = go_on(folder, found)
    assert (graded_again, there) == (([], files) if name == "nothing" else (files, []))
    assert written(folder) == expected(found)


def test_changed_cut_and_unreadable_notebooks_are_graded_anew(tmp_path):
    found = hand_ins(tmp_path / "class", [b"1", b"2", b"3"])
    folder, files = tmp_path / "results", [one.file for one in found]
    go_on(folder, found)
    found[0].path.write_bytes(b"changed")
    found[1].path.unlink()
    (path,) = (folder / "reports").glob("02_0002*")
    path.write_bytes(path.read_bytes()[:-9])
    assert go_on(folder, found) == (files, [])
    assert go_on(folder, found) == ([], files)
    found[1].path.mkdir()
    assert go_on(folder, found) == (files[1:2], files[:1] + files[2:])
    assert written(folder) == expected(found)


def test_scores_that_may_not_count_are_graded_anew_once_they_may(tmp_path):
    def unsandboxed(hand_in, content, options, spare):
        made = fake_grade(hand_in, content, options)
        allowed = {"sandbox": "plain", "of_record": options.allow_unsandboxed}
        return sign(made | allowed, SEED)

    found = hand_ins(tmp_path / "class", [b"1"])
    files, folder = [found[0].file], tmp_path / "results"
    go_on(folder, found, grade=unsandboxed)
    assert go_on(folder, found, grade=unsandboxed) == ([], files)
    assert go_on(folder, found, grade=unsandboxed, options=OTHER) == (files, [])
    assert go_on(folder, found, grade=unsandboxed, options=OTHER) == ([], files)


def test_what_a_killed_batch_left_half_written_is_removed(tmp_path):
    found, folder = hand_ins(tmp_path / "class", [b"1"]), tmp_path / "results"
    go_on(folder, found)
    for path in (folder / "reports" / ".02_0.json", folder / ".summary.json"):
        path.with_name(f"{path.name}.{'0' * 16}").write_text("half")
    go_on(folder, found)
    left = sorted(path.name for path in folder.rglob("*") if path.is_file())
    (report,) = (path.name for path in (folder / "reports").iterdir())
    assert left == sorted([".lock", "summary.json", report])


def test_a_file_that_is_no_report_of_ours_is_named_and_not_summed_up(tmp_path):
    found, folder = hand_ins(tmp_path / "class", [b"1", b"2"]), tmp_path / "results"
    go_on(folder, found)
    (path,) = (folder / "reports").glob("02_0001*")
    for content in (b"[]", b"{", b"{}", path.read_bytes().replace(b"2.1", b"2.2")):
        path.write_bytes(content)
        with pytest.raises(NoResults, match=f"there is no summary: {path} is not"):
            go_on(folder, found[:1])
    assert go_on(folder, found) == ([found[1].file], [found[0].file])


def test_results_are_not_mixed_up(tmp_path):
    found, folder = hand_ins(tmp_path / "class", [b"1"]), tmp_path / "results"
    go_on(folder, found)
    before = written(folder)
    with pytest.raises(NoResults, match="has reports in it: go on with them"):
        go_on(folder, found, resume=False)
    with pytest.raises(NoResults, match="made with another seed"):
        go_on(folder, found, options=Options(SEED + 1))
    with opened(folder, True), pytest.raises(NoResults, match="another process grades"):
        go_on(folder, found)
    (tmp_path / "file").touch()
    with pytest.raises(NoResults, match="cannot write to"):
        go_on(tmp_path / "file", found)
    assert written(folder) == before


def test_a_full_disk_ends_the_batch_with_what_was_written_whole(tmp_path, monkeypatch):
    found, folder = hand_ins(tmp_path / "class", [b"1", b"2"]), tmp_path / "results"
    real, files = os.fsync, []

    def fsync(handle):
        files.append(handle)
        if len(files) == 2:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(NoResults, match="No space left"):
        go_on(folder, found)
    assert written(folder) == expected(found[:1])
    assert not list((folder / "reports").glob(".*"))


def test_the_secret_seed_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "secret-seed"
    seed = secret_seed(path)
    assert secret_seed(path) == seed and seed.bit_length() > 100
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret_seed(tmp_path / "other") != seed
    path.write_text("abc")
    with pytest.raises(NoSeed, match="holds no seed"):
        secret_seed(path)
    with pytest.raises(NoSeed, match="cannot write a seed"):
        secret_seed(tmp_path / "nowhere" / "secret-seed")


def test_the_seed_of_a_folder_is_not_put_beside_another(tmp_path):
    with opened(tmp_path, False) as there:
        seed = there.seed()
        assert there.seed() == there.seed(seed) == read_seed(there.seed_path) == seed
        for other in {"seed": seed + 1}, {"path": tmp_path / "another"}:
            with pytest.raises(NoResults, match="secret-seed holds another seed"):
                there.seed(**other)


def test_names_of_reports_are_safe_and_differ_where_files_do(tmp_path):
    there = results.Results(tmp_path)
    files = ["a/b.ipynb", "a-b.ipynb", "a/b", "../../x.ipynb", "/etc/x", "-rf.ipynb",
             "é.ipynb", "e.ipynb", "<script>.ipynb", "A/B.ipynb", ".x", "x" * 300,
             "x" * 299, "…" * 300, "a\\b.ipynb", "=cmd().ipynb"]  # fmt: skip
    paths = [there._path(file) for file in files]
    assert len({path.name.lower() for path in paths}) == len(files)
    for path in paths:
        assert path.parent == tmp_path / "reports" and len(path.name) < 100
        assert path.name.isascii() and path.name[0].isalnum(), path.name


def test_a_process_uses_the_cores_that_it_may():
    assert 1 <= cores() <= os.cpu_count()
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from course_lib.grading.lanes import cores; print(cores())"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "1"
