"""The benchmarks: the command runs, and what is committed is what it writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from twins import need_torch

from benchmarks import assignment, environments, grading
from benchmarks.measure import Failed, run

ROOT = Path(__file__).parents[1]
COMMITTED = ROOT / "benchmarks" / "results"
MIB_PROMISED = 64  # for 100,000 positions, above inputs and output
PEERS = {"nbgrader 0.9.6", "otter-grader 7.0.0"}
RATIO_PROMISED = 0.15  # to the quicker peer, for one notebook
SECONDS_PROMISED = 0.2  # for one more notebook in a process that has graded one
PER_MINUTE_PROMISED = 100  # in a batch of 200
MIB_OF_NOISE = 2  # between batches of 20 and of 500


def benchmark(*arguments):
    """Run the command."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def read(folder):
    """Every result of a folder, by name."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The results of a quick run, and what it printed."""
    need_torch()
    folder = tmp_path_factory.mktemp("benchmarks")
    ran = benchmark("--quick", "--folder", str(folder))
    assert ran.returncode == 0, ran.stderr
    return read(folder), ran.stdout


def test_a_quick_run_measures_and_prints_everything(quick):
    results, printed = quick
    for result in results.values():
        assert result["about"].split()[0] in printed
        for row in result["rows"]:
            assert all(x > 0 for x in row.values() if isinstance(x, float)), row


def test_the_committed_results_are_of_the_same_form(quick):
    results, _ = quick
    committed = read(COMMITTED)
    assert set(committed) == set(results)
    for name, result in committed.items():
        assert result["about"] == results[name]["about"]
        assert set(result["machine"]) == set(results[name]["machine"])
        for row in result["rows"]:
            assert set(row) == set(results[name]["rows"][0])


def test_the_import_costs_less_than_numpy_s_own_and_brings_no_torch(quick):
    results, _ = quick
    for row in results["beside_numpy"]["rows"]:
        assert row["beyond"] < row["numpy"]  # a ratio: seconds differ by machine
        assert not row["brings_torch"]
    for row in read(COMMITTED)["beside_numpy"]["rows"]:
        assert row["beyond"] <= row["promised"] == 0.05


def test_the_committed_runs_of_100_000_positions_stayed_below_the_promised_memory():
    rows = read(COMMITTED)["against_length"]["rows"]
    memory = {row["way"]: row["mib"] for row in rows if row["n"] == 100_000}
    assert set(memory) >= {"tiled", "tiled, causal"}
    assert memory["tiled"] < MIB_PROMISED
    assert memory["tiled, causal"] < MIB_PROMISED


def test_a_name_that_is_no_benchmark_is_refused_in_one_sentence():
    need_torch()
    ran = benchmark("nonsense")
    assert ran.returncode == 2
    assert "no benchmark 'nonsense': one of beside_numpy, " in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_quick_run_grades_with_ours_alone_so_it_makes_no_environments(quick):
    results, _ = quick
    rows = results["grading_against_peers"]["rows"]
    assert [(row["grader"], row["way"]) for row in rows] == [
        ("ours", way) for way in (grading.ONE, grading.WARM, grading.BATCH)
    ]


def graded(way):
    """Committed rows of the graders for one way, by grader and number of notebooks."""
    rows = read(COMMITTED)["grading_against_peers"]["rows"]
    return {(row["grader"], row["n"]): row for row in rows if row["way"] == way}


def test_the_committed_grading_of_one_notebook_kept_its_promise_beside_both_peers():
    rows = graded(grading.ONE)
    seconds = {grader: row["seconds"] for (grader, _), row in rows.items()}
    ours = seconds.pop("ours")
    assert set(seconds) == PEERS
    assert ours / min(seconds.values()) <= RATIO_PROMISED
    (warm,) = graded(grading.WARM).values()
    assert warm["seconds"] <= SECONDS_PROMISED


def test_the_committed_batches_were_fast_and_a_larger_one_took_no_more_memory():
    rows = graded(grading.BATCH)
    assert {grader for grader, n in rows if n == 20} == PEERS | {"ours"}
    ours = {n: row for (grader, n), row in rows.items() if grader not in PEERS}
    assert ours[200]["per_minute"] >= PER_MINUTE_PROMISED
    assert max(ours[n]["mib"] for n in (200, 500)) - ours[20]["mib"] <= MIB_OF_NOISE


def points(notebook):
    """What a notebook earns if the peers' tests decide."""
    names, earned = {}, 0
    for cell in json.loads(notebook)["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    exec(assignment.PREAMBLE, names)
    for test in assignment.tests():
        assert len(test.asserts) == len(test.question.cases)
        try:
            exec("\n".join(test.asserts), names)
            earned += test.question.points
        except AssertionError:
            pass
    return earned


@pytest.mark.filterwarnings("ignore:invalid value encountered in subtract")
@pytest.mark.parametrize("number", range(8))
def test_the_peers_tests_give_every_student_what_our_grader_gives(number):
    assert points(assignment.handed_in(number)) == assignment.deserved(number)


def test_the_assignment_has_right_notebooks_and_wrong_ones_and_no_two_are_equal():
    assert [assignment.deserved(number) for number in range(5)] == [7, 7, 7, 4, 7]
    assert len({assignment.handed_in(number) for number in range(8)}) == 8


def test_no_hidden_test_reaches_a_student():
    for number in range(4):
        assert "assert" not in assignment.handed_in(number)
        assert "SOLUTION" not in assignment.handed_in(number)


@pytest.mark.parametrize("points", [{0: 7}, {0: 7, 1: 4}, {0: 7, 1: 7, 2: 7}])
def test_points_that_nobody_deserved_stop_the_benchmark(points):
    with pytest.raises(Failed, match="but deserved were"):
        grading._check(points, range(2))


def python(code, folder):
    """Run a line of Python; gives its memory."""
    return run([sys.executable, "-c", code], folder)


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs Linux's /proc")
def test_a_command_s_memory_is_its_own_and_not_its_children_s(tmp_path):
    hoard = f"x = b'1' * {64 * 2**20}; import time; time.sleep(0.2)"
    start = f"import subprocess; subprocess.run([{sys.executable!r}, '-c', {hoard!r}])"
    idle = "import time; time.sleep(0.2)"  # long enough to be looked at
    usual, alone, with_child = (python(c, tmp_path) for c in (idle, hoard, start))
    assert 60 < alone - usual < 72
    assert with_child - usual < 32


def test_a_command_that_fails_says_what_it_said_last(tmp_path):
    with pytest.raises(Failed, match="python.* failed; it said: broken$"):
        python("import sys; sys.exit('a\\nbroken')", tmp_path)


def test_an_environment_is_made_anew_only_if_its_pins_change_or_it_failed(
    tmp_path, monkeypatch
):
    pins, installed = tmp_path / "peer.txt", []

    def install(command, _):
        installed.append(Path(command[-1]).read_text())
        if "broken" in installed[-1]:
            raise Failed("no such package")

    monkeypatch.setattr(environments, "PINS", tmp_path)
    monkeypatch.setattr(environments, "MADE", tmp_path / "made")
    monkeypatch.setattr(environments, "run", install)
    monkeypatch.setattr(
        environments.venv,
        "create",
        lambda folder, **_: folder.mkdir(parents=True, exist_ok=True),
    )
    for text in ("a==1", "a==1", "broken==1", "broken==1", "a==2"):
        pins.write_text(text)
        try:
            environments.environment("peer")
        except Failed:
            assert "broken" in text
    assert installed == ["a==1", "broken==1", "broken==1", "a==2"]
