"""The cells of a notebook: their syntax trees, within limits, and places in them."""

import ast
import warnings
from typing import NamedTuple

MAX_CHARACTERS = 100_000  # of all cells; it takes a second or so


class Unreadable(ValueError):
    """The notebook cannot be followed; the message says why, without a full stop."""


class Met(NamedTuple):
    """Something that was met on the way.

    Attributes:
        what: dotted name of the forbidden thing, or why the way cannot be followed
        cell: index of the cell
        line: number of the line, from 1
        called: True if it is called there
    """

    what: str
    cell: int
    line: int
    called: bool = False


def parse(cells):
    """The syntax tree of each cell; None for one that Python would not run either.

    Raises:
        Unreadable, for code that is too long, or nested too deeply.
    """
    if sum(map(len, cells)) > MAX_CHARACTERS:
        raise Unreadable(f"the code has more than {MAX_CHARACTERS:,} characters")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [_parse(number, source) for number, source in enumerate(cells, 1)]


def _parse(number, source):
    try:
        # A stray `return` fails, and `await` does not: as in the worker.
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        compile(source, "<cell>", "exec", flags, dont_inherit=True)
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    except (RecursionError, MemoryError, OverflowError):
        raise Unreadable(f"cell {number} is nested too deeply") from None


def place(met, cells):
    """Where something was met, with the text of the line, short and printable."""
    lines = cells[met.cell].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    text = lines[met.line - 1].strip() if 0 < met.line <= len(lines) else ""
    return f"Cell {met.cell + 1}, line {met.line}: `{short(text, 80)}`"


def short(text, length):
    """A text from a notebook, printable and no longer than `length`."""
    text = text if len(text) <= length else f"{text[: length - 3]}..."
    return "".join(c if c.isprintable() else " " for c in text)
