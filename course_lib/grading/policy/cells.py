"""The syntax trees of a notebook's cells, if they can be read within limits."""

import ast
import warnings

MAX_CHARACTERS = 200_000  # of all cells: a second or so


class Unreadable(ValueError):
    """The notebook cannot be followed; the message says why, without a full stop."""


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


def line(cells, cell, number):
    """Text of a line of a cell, short and printable, counted as the parser does."""
    lines = cells[cell].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    text = "".join(c if c.isprintable() else " " for c in text[:200])
    return text if len(text) <= 80 else f"{text[:77]}..."
