"""The published JSON Schemas (2020-12), and what in a file does not fit them."""

import json
from functools import cache
from importlib import resources

NAMES = ("report", "summary")
MAX_SAID = 120  # characters of what a mistake quotes


def schema_text(name):
    """The JSON Schema called "report" or "summary", as it is published."""
    file = resources.files(__package__) / f"{name}.schema.json"
    return file.read_text(encoding="utf-8")


def mistake(content, name):
    """What is wrong with a report or a summary, in a few words, or None.

    Args:
        content: what was in a JSON file
        name: "report" or "summary"
    """
    from jsonschema.exceptions import best_match

    error = best_match(_validator(name).iter_errors(content))
    if error is not None:
        return f"{error.json_path} is wrong: {_short(error.message)}"
    return _sums(content) if name == "report" else None


@cache
def _validator(name):
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema_text(name)))


def _sums(report):
    """What a schema cannot say: how the numbers of a report hang together."""
    rows = report["questions"]
    for key in ("points", "possible"):
        if report[key] != sum(row[key] for row in rows):
            return f"its {key} are not the sum over its questions"
    if any(row["points"] > row["possible"] for row in rows):
        return "a question has more points than are possible"
    if len({row["id"] for row in rows}) < len(rows):
        return "a question comes twice"
    return None


def _short(text):
    printable = "".join(c if c.isprintable() else " " for c in text)
    return printable if len(printable) <= MAX_SAID else f"{printable[:MAX_SAID]} ..."
