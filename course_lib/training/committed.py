"""The committed results of the course's training runs, read without PyTorch."""

import json
from pathlib import Path

FOLDER = Path(__file__).parent / "results"


def read_results(experiment, folder=FOLDER):
    """All results of an experiment, as a list of dicts, in the order of their names.

    Args:
        experiment: "bottleneck", the name of a folder of JSON files
        folder:     where the experiments' folders are
    """
    paths = sorted(Path(folder, experiment).glob("*.json"))
    return [read_result(path) for path in paths]


def read_result(path):
    """One result, or one sentence about a damaged file (ValueError)."""
    try:
        return json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no result: delete it to train anew") from error
