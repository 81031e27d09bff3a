"""Batches on a Dask cluster: the same reports, whatever dies on the way."""

import logging
import os
import signal
import socket
import ssl
import sys
import threading
from types import SimpleNamespace
from urllib.parse import urlsplit

import dask
import pytest
from distributed import LocalCluster
from distributed.comm import CommClosedError
from fake_grader import fake_grade, hand_ins, processes_below, wait_until_gone
from grading_reports import SEED
from test_grading_batch import expected, work_of

from course_lib.grading import batch, cluster
from course_lib.grading.grader import Options
from course_lib.grading.lanes import NoLanes, lanes_for

OPTIONS = Options(SEED)


def local_cluster(count, **options):
    """A running cluster of `count` workers that is not started by `grade`."""
    return LocalCluster(
        n_workers=count,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        **options,
    )


@pytest.fixture(scope="module")
def scheduler():
    """The address of a cluster where what killed two workers is not tried again."""
    quick = {"distributed.scheduler.allowed-failures": 1}
    with dask.config.set(quick), local_cluster(2, threads_per_worker=2) as running:
        yield running.scheduler_address


def graded(found, lanes):
    """Reports by file, from the fake; each once."""
    reports = list(batch.grade_all(work_of(found), lanes, OPTIONS, fake_grade))
    by_file = {report["file"]: report for report in reports}
    assert len(by_file) == len(reports)
    return by_file


def test_reports_are_those_of_this_machine(tmp_path, scheduler):
    found = hand_ins(tmp_path / "class", [b"%d" % i for i in range(30)])
    found[5].path.unlink()
    with lanes_for(len(found), scheduler=scheduler) as lanes:
        assert lanes.count == 2
        assert graded(found, lanes) == expected(found)


def test_a_worker_that_dies_costs_only_time(tmp_path, scheduler):
    contents = [b"wait 0.1"] * 20
    contents[3] = b"once " + os.fsencode(tmp_path / "died")
    found = hand_ins(tmp_path / "class", contents)
    with lanes_for(len(found), scheduler=scheduler) as lanes:
        assert graded(found, lanes) == expected(found)
    assert (tmp_path / "died").exists()


def test_who_kills_every_worker_is_told_from_who_was_near(tmp_path, scheduler):
    contents = [b"%d" % i for i in range(12)]
    contents[4], contents[8] = b"die", b"fail"
    found = hand_ins(tmp_path / "class", contents)
    with lanes_for(len(found), scheduler=scheduler) as lanes:
        reports = graded(found, lanes)
    died, failed = (reports.pop(found[i].file) for i in (4, 8))
    assert died["trouble"].endswith("ended the grader's own process, twice")
    assert failed["trouble"].endswith("made the grader itself fail, with KeyError")
    innocent = [one for i, one in enumerate(found) if i not in (4, 8)]
    assert reports == expected(innocent)


def test_a_worker_that_dies_at_the_end_costs_nothing(tmp_path):
    found = hand_ins(tmp_path / "class", [b"%d" % i for i in range(4)])
    with local_cluster(1) as running:
        with lanes_for(len(found), scheduler=running.scheduler_address) as lanes:
            assert graded(found, lanes) == expected(found)
            (pid,) = lanes._client.run(os.getpid).values()
            os.kill(pid, signal.SIGKILL)


def test_a_scheduler_that_goes_away_at_the_end_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 2)  # time of a second try, too
    found = hand_ins(tmp_path / "class", [b"%d" % i for i in range(4)])
    with local_cluster(1) as running:
        with lanes_for(len(found), scheduler=running.scheduler_address) as lanes:
            assert graded(found, lanes) == expected(found)
            running.close()


def test_a_worker_that_dies_at_the_start_is_not_taken_for_another_grader():
    answers = {"gone": CommClosedError("reset"), "there": cluster._version()}
    client = SimpleNamespace(
        get_executor=lambda **_: None,
        wait_for_workers=lambda *_: None,
        run=lambda *_, **__: answers,
    )
    lanes = cluster.ClusterLanes(client)
    lanes.check_versions()
    answers["there"] = ModuleNotFoundError("course_lib")
    with pytest.raises(NoLanes, match="the worker at there has another grader .none"):
        lanes.check_versions()


def test_another_grader_on_a_worker_is_refused(tmp_path, scheduler, monkeypatch):
    monkeypatch.setattr(cluster, "grader_version", lambda: "0.0.9")
    with pytest.raises(NoLanes, match="has another grader .* install the same"):
        with lanes_for(9, scheduler=scheduler):
            pytest.fail("it was not looked at")
    # As if it had come later.
    monkeypatch.setattr(cluster.ClusterLanes, "check_versions", lambda self: None)
    found = hand_ins(tmp_path / "class", [b"1"])
    with pytest.raises(NoLanes, match="has another grader"):
        with lanes_for(9, scheduler=scheduler) as lanes:
            graded(found, lanes)


def test_the_seed_is_not_among_what_dask_logs():
    assert str(SEED) not in f"{OPTIONS!r} {OPTIONS}"


def test_a_cluster_of_its_own_is_closed_to_others_and_leaves_nothing(tmp_path):
    found = hand_ins(tmp_path / "class", [b"%d" % i for i in range(6)])
    before = processes_below(os.getpid())
    with lanes_for(len(found), jobs=2, scheduler="local") as lanes:
        assert graded(found, lanes) == expected(found)
        started = processes_below(os.getpid()) - before
        address = urlsplit(lanes._client.scheduler.address)
        anybody = ssl.create_default_context()
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        assert (address.scheme, address.hostname) == ("tls", "127.0.0.1")
        with socket.create_connection((address.hostname, address.port)) as plain:
            with pytest.raises(ssl.SSLError, match="certificate required"):
                with anybody.wrap_socket(plain) as encrypted:
                    encrypted.recv(1)
    assert len(started) >= 2 and wait_until_gone(started) == []


def test_a_scheduler_that_goes_away_ends_the_batch_with_a_sentence(tmp_path):
    found = hand_ins(tmp_path / "class", [b"wait 0.2"] * 40)
    with local_cluster(1) as running:
        ending = threading.Timer(1, running.close)
        with pytest.raises(NoLanes, match="scheduler"):
            with lanes_for(len(found), scheduler=running.scheduler_address) as lanes:
                ending.start()
                graded(found, lanes)
        ending.join()


def test_missing_schedulers_workers_and_packages_get_a_sentence(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    for address in ("tcp://127.0.0.1:1", "tls://127.0.0.1:1", "nonsense://"):
        with pytest.raises(NoLanes, match=f"no scheduler answers at {address}"):
            with lanes_for(9, scheduler=address):
                pass
    with local_cluster(0) as empty:
        with pytest.raises(NoLanes, match="the scheduler has no workers"):
            with lanes_for(9, scheduler=empty.scheduler_address):
                pass
    monkeypatch.delitem(sys.modules, "course_lib.grading.cluster")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(NoLanes, match="pip install 'attention-course.cluster.'"):
        with lanes_for(9, scheduler="local"):
            pass
