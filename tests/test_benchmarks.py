"""The benchmarks: the command runs, and what is committed is what it writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from twins import need_torch

ROOT = Path(__file__).parents[1]
COMMITTED = ROOT / "benchmarks" / "results"
MIB_PROMISED = 64  # for 100,000 positions, above inputs and output


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
