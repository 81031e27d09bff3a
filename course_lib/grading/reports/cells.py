"""Tables as CSV (RFC 4180) that no spreadsheet takes for formulas."""

import csv
import io
import re

# OWASP, "CSV Injection": how a cell begins that a spreadsheet may run.
FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")


def defused(value):
    """A cell as one line of printable text; formulas get an apostrophe before them.

    Numbers stay numbers, those written as text too ("-3").

    Args:
        value: int, or str from anybody
    """
    if isinstance(value, int):
        return str(value)
    text = "".join(c if c.isprintable() else " " for c in value)
    if FORMULA.match(text) and not NUMBER.fullmatch(text.strip()):
        return f"'{text}"
    return text


def to_csv(rows):
    """Rows of ints and strings as the text of a CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([map(defused, row) for row in rows])
    return text.getvalue()
