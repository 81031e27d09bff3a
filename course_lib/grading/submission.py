"""One notebook in its worker: cells are run, functions called, the guilty left out."""

import time

from course_lib.grading import workers
from course_lib.grading.calling import Refused, decode, encode
from course_lib.grading.channel import Stopped

MAX_TEXT = 300


class Submission:
    """Runs a notebook's cells when first asked, and again after a call ended them.

    A cell that hangs or ends the process is left out from then on.

    Args:
        notebook: Notebook
        sandbox: Sandbox
        limits: Limits
        spare: whether a next worker is started as soon as this one is there
    """

    def __init__(self, notebook, sandbox, limits, spare=False):
        self._notebook, self._sandbox, self._limits = notebook, sandbox, limits
        self._spare = spare
        self._deadline = time.monotonic() + limits.notebook
        self._worker = None
        self._stopped = {}  # index of a cell -> how it stopped the worker
        self._failed = {}  # index of a cell -> the exception that ended it

    def call(self, question, inputs):
        """The outcome of one call in the worker, or {"missing": True}.

        Raises:
            Stopped, if the call did not come back.
        """
        self._ensure()
        request = {
            "call": question.function,
            "arguments": [encode(argument) for argument in inputs],
            "n_returns": len(question.returns),
        }
        reply = self._ask(request, self._limits.call)
        return {"missing": True} if "missing" in reply else outcome(reply, question)

    def unfinished(self):
        """Indices of the cells that did not run to their end.

        Raises:
            Stopped, if the notebook has no time left to run them.
        """
        self._ensure()
        return frozenset(self._stopped) | frozenset(self._failed)

    def why_missing(self, question):
        """A sentence on why there is no function for a question."""
        cell = self._notebook.cell_defining(question.function)
        if cell is None:
            return f"There is no function `{question.function}`."
        trouble = self._stopped.get(cell) or self._failed.get(cell)
        return f"The cell of `{question.function}` {trouble or 'did not define it'}."

    def close(self):
        """End the worker."""
        if self._worker:
            self._worker.stop()
            self._worker = None

    def _ensure(self):
        """Have a worker in which the cells have run."""
        while self._worker is None:
            self._start()

    def _start(self):
        """Run the cells in a new worker; without it again if one of them stops it."""
        self._left()
        self._worker = workers.take(self._sandbox, self._limits)
        if self._spare:
            workers.start_spare(self._sandbox, self._limits)
        for position, source in enumerate(self._notebook.cells):
            if position in self._stopped:
                continue
            request = {"cell": source, "name": f"<cell {position + 1}>"}
            try:
                reply = self._ask(request, self._limits.cell)
            except Stopped as stop:
                self._stopped[position] = str(stop)
                return
            if reply.get("error"):
                error = _error(reply["error"])
                self._failed[position] = f"stopped with {error['type']}"
                if error["message"]:
                    self._failed[position] += f": {error['message']}"

    def _left(self):
        """Seconds that the notebook may still use (or Stopped)."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            seconds = self._limits.notebook
            raise Stopped(f"was not tried: the notebook used up its {seconds:g} s")
        return left

    def _ask(self, request, seconds):
        """Ask the worker, which is gone if this raises Stopped."""
        try:
            left = self._left()
            if left >= seconds:
                return self._worker.ask(request, seconds)
            try:
                return self._worker.ask(request, left)
            except Stopped:
                self._left()  # says so if it was the notebook's time that ended
                raise
        except Stopped:
            self.close()
            raise


def outcome(reply, question):
    """What a worker replied, as an outcome; whatever does not look like one is refused.

    Args:
        reply: dict from an untrusted process
        question: Question

    Returns:
        outcome, see `course_lib.grading.calling`.
    """
    if isinstance(values := reply.get("values"), list):
        n_returns = len(question.returns)
        if len(values) != n_returns:
            return {"refused": f"it returned {len(values)} values, not {n_returns}"}
        try:
            return {"values": [decode(value) for value in values]}
        except Refused as refusal:
            return {"refused": str(refusal)}
    if "unanswered" in reply:
        return {"unanswered": _text(reply["unanswered"])}
    if "error" in reply:
        return {"error": _error(reply["error"])}
    if reply.get("changed") in range(question.reference.__code__.co_argcount):
        return {"changed": int(reply["changed"])}
    return {"refused": _text(reply.get("refused", "it did not return an array"))}


def _error(error):
    error = error if isinstance(error, dict) else {}
    parts = ("type", "message", "line")
    return {part: _text(error.get(part, "")) for part in parts}


def _text(text):
    """Short printable text, whatever came."""
    characters = str(text)[:MAX_TEXT] if isinstance(text, str) else ""
    return "".join(c if c.isprintable() else " " for c in characters).strip()
