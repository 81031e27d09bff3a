"""The process that runs a student's cells and calls their functions. Run as a script.

It is copied to a folder of its own, next to `calling.py` and a `course_lib` without
`grading`. It learns neither seeds nor right answers. Requests and replies are lines of
JSON on two pipes, whose numbers are the arguments:

    {"number", "cell": source, "name"}             -> {"number", "error": {...} or null}
    {"number", "call": name, "arguments", "n_returns"}   -> {"number", ...the outcome}
"""

import ast
import json
import linecache
import os
import re
import sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), *sys.argv[3:]]

from calling import call, decode, describe, encode  # noqa: E402 (after its path is set)

PYTHON_CELL_MAGICS = {"%%capture", "%%prun", "%%time", "%%timeit"}
MAGIC_LINE = re.compile(
    r"^(?P<indent>\s*)([\w.]+(\s*,\s*[\w.]+)*\s*=\s*)?([%!?]|\S+\?{1,2}\s*$).*$"
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
        ast.parse(source)
        return source
    except SyntaxError:
        return "\n".join(MAGIC_LINE.sub(r"\g<indent>pass", line) for line in lines)


def run_cell(source, name, namespace):
    """Run one cell as far as it gets; returns what stopped it, or None."""
    try:
        source = without_magics(source)
        lines = source.splitlines(keepends=True)
        linecache.cache[name] = (len(source), None, lines, name)
        exec(compile(source, name, "exec"), namespace)
    except BaseException as error:
        return describe(error)


def answer(request, namespace):
    """The reply to one request, without its number."""
    if "cell" in request:
        return {"error": run_cell(request["cell"], request["name"], namespace)}
    function = namespace.get(request["call"])
    if not callable(function):
        return {"missing": True}
    arguments = [decode(argument) for argument in request["arguments"]]
    arguments = [a.copy() if a.ndim else a.item() for a in arguments]
    try:
        outcome = call(function, arguments, request["n_returns"])
    except BaseException as error:
        return {"error": describe(error)}
    if "values" in outcome:
        outcome["values"] = [encode(array) for array in outcome["values"]]
    return outcome


def main():
    """Answer requests until there are no more."""
    process = os.getpid()
    namespace = {"__name__": "__main__", "display": lambda *args, **kwargs: None}
    with open(int(sys.argv[1]), "rb") as requests, open(int(sys.argv[2]), "wb") as out:
        for line in requests:
            request = json.loads(line)
            reply = answer(request, namespace) | {"number": request["number"]}
            if os.getpid() != process:  # a cell forked, and this is the child
                os._exit(0)
            out.write(json.dumps(reply).encode() + b"\n")
            out.flush()


if __name__ == "__main__":
    main()
