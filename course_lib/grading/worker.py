"""The process that runs a student's cells and calls their functions. Run as a script.

It stands next to `calling.py`, `magics.py` and a `course_lib` without `grading`, and
learns neither seeds nor right answers. Requests and replies are lines of JSON on two
pipes, whose numbers are the first arguments; the third is {"rlimit": [soft, hard]}, the
rest are folders of packages.

    {"number", "look": paths}                        -> {"number", what is to be seen}
    {"number", "cell": source, "name"}               -> {"number", "error": {} or null}
    {"number", "call": name, "arguments", "n_returns"}   -> {"number", ...the outcome}
"""

import __future__

import ast
import json
import linecache
import os
import resource
import socket
import sys
import types

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), *sys.argv[4:]]
for _name, _limit in json.loads(sys.argv[3]).items():
    resource.setrlimit(getattr(resource, _name), _limit)

from calling import call, decode, describe, encode  # noqa: E402 (after its path is set)
from magics import without_magics  # noqa: E402

# Taken now: what a student's code puts in their place changes no request or reply.
as_json, from_json = json.JSONEncoder().encode, json.JSONDecoder().decode
FUTURES = __future__.annotations.compiler_flag  # the one that cells still ask for


def look(paths):
    """What this process can see, before it has run anything of a student's."""
    listed = os.listdir("/proc") if os.path.isdir("/proc") else []  # Linux has it
    processes = [name for name in listed if name.isdigit()]
    return {
        "paths": [path for path in paths if os.path.exists(path)],
        "interfaces": [name for _, name in socket.if_nameindex()],
        "processes": len(processes),
    }


class Cells:
    """Runs cells as a notebook does: in one module, each after those before.

    Attributes:
        namespace: dict, what they have defined
    """

    def __init__(self):
        module = sys.modules["__main__"] = types.ModuleType("__main__")
        self.namespace = vars(module)
        self.namespace["display"] = lambda *args, **kwargs: None
        self._flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def run(self, source, name):
        """Run one as far as it gets; returns what stopped it, or None."""
        try:
            source = without_magics(source)
            lines = source.splitlines(keepends=True)
            linecache.cache[name] = (len(source), None, lines, name)
            code = compile(source, name, "exec", self._flags, dont_inherit=True)
            self._flags |= code.co_flags & FUTURES
            awaited = eval(code, self.namespace)
            if awaited is not None:
                import asyncio  # takes longer than most cells

                asyncio.run(awaited)
        except BaseException as error:
            return describe(error)


def answer(request, cells):
    """The reply to one request, without its number."""
    if "look" in request:
        return look(request["look"])
    if "cell" in request:
        return {"error": cells.run(request["cell"], request["name"])}
    function = cells.namespace.get(request["call"])
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
    process, cells = os.getpid(), Cells()
    with open(int(sys.argv[1]), "rb") as requests, open(int(sys.argv[2]), "wb") as out:
        for line in requests:
            request = from_json(line.decode())
            reply = answer(request, cells) | {"number": request["number"]}
            if os.getpid() != process:  # a cell forked, and this is the child
                os._exit(0)
            out.write(as_json(reply).encode() + b"\n")
            out.flush()


if __name__ == "__main__":
    main()
