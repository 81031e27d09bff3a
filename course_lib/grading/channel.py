"""Talk to a worker: requests and replies are lines of JSON on two pipes.

Whatever comes back is from a process that nobody trusts. It may come late, never, in
pieces, in floods, or from somebody else than it seems.
"""

import json
import os
import secrets
import select
import time

MAX_REPLY = 2**25  # bytes
MAX_PARTS = 2000  # values, lists and objects of a reply, and commas in its messages
CHUNK = 2**16


class Stopped(Exception):
    """The worker did not reply and has to go; the message completes "it ..."."""


class Closed(Exception):
    """Nobody holds the other end any more."""


class Channel:
    """Two pipes to a worker that is to be started.

    Attributes:
        theirs: file descriptors for the worker: where requests come, where replies go
    """

    def __init__(self):
        self._number, self._received = 0, bytearray()
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()
        self.theirs = requests, replies
        os.set_blocking(self._requests, False)

    def give(self):
        """Close the worker's ends here: it has them now, or never will."""
        for end in self.theirs:
            os.close(end)
        self.theirs = ()

    def close(self):
        """Close all ends that are here."""
        self.give()
        os.close(self._requests)
        os.close(self._replies)

    def ask(self, request, seconds):
        """Send a request and return the reply to it, a dict.

        Raises:
            Stopped, after the deadline, or if too much came back
            Closed
        """
        self._number = secrets.randbits(62)  # no forged reply carries it by luck
        outgoing = json.dumps(request | {"number": self._number}).encode() + b"\n"
        waiting = select.poll()
        waiting.register(self._replies, select.POLLIN)
        waiting.register(self._requests, select.POLLOUT)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ready = dict(waiting.poll(left * 1000))
            if self._requests in ready:
                outgoing = outgoing[self._write(outgoing) :]
                if not outgoing:
                    waiting.unregister(self._requests)
            reply = self._read() if self._replies in ready else None
            if reply is not None:
                return reply
        raise Stopped(f"did not finish within {seconds:g} s")

    def _write(self, data):
        try:
            return os.write(self._requests, data)
        except BrokenPipeError:
            raise Closed from None

    def _read(self):
        """Take what has come; the reply to the last request if it is complete."""
        chunk = os.read(self._replies, CHUNK)
        if not chunk:
            raise Closed
        self._received += chunk
        if len(self._received) > MAX_REPLY:
            raise Stopped("returned more than the grader accepts")
        if b"\n" not in chunk:
            return None
        *lines, self._received = self._received.split(b"\n")
        return next(filter(None, map(self._reply_in, lines)), None)

    def _reply_in(self, line):
        """The reply in a line, if it is one to the last request, else None."""
        # A few bytes can be a large object: what has too many parts is not unpacked.
        if str(self._number).encode() not in line:
            return None
        if sum(map(line.count, b"[{,")) > MAX_PARTS:
            return None
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            return None
        right = isinstance(reply, dict) and reply.get("number") == self._number
        return reply if right else None
