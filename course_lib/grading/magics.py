"""What of a notebook's cell is Python: magics and shell lines are dropped, never run.

Standard library alone, as the worker has a copy.
"""

import ast
import re
import warnings

PYTHON_CELL_MAGICS = {"%%capture", "%%prun", "%%time", "%%timeit"}
# No part of it is tried twice at one place: a hostile line takes no longer.
MAGIC_LINE = re.compile(
    r"^(?P<indent>\s*+)([\w.]++(\s*+,\s*+[\w.]++)*+\s*+=\s*+)?+"
    r"([%!?]|\S*[^\s?]\?{1,2}\s*+$).*$"
)


def without_magics(source):
    """The Python in a cell: magics and shell lines dropped, line numbers kept."""
    lines = source.split("\n")
    first = next((line.split()[0] for line in lines if line.strip()), "")
    if first.startswith("%%"):
        if first not in PYTHON_CELL_MAGICS:
            return ""
        lines = ["" if line.startswith("%%") else line for line in lines]
    source = "\n".join(lines)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a student's text
            ast.parse(source)
    except SyntaxError:
        return "\n".join(MAGIC_LINE.sub(r"\g<indent>pass", line) for line in lines)
    except (ValueError, RecursionError, MemoryError):
        pass  # no magic either; whoever compiles it will say what is wrong
    return source
