"""Sockets of this machine that a submission may knock at, and must not reach."""

import secrets
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path


class Doors(ExitStack):
    """Listens on this machine, for streams and packets, until it is closed.

    Attributes:
        port: int, on 127.0.0.1, of both
        path, abstract: addresses of UNIX sockets
    """

    def __init__(self):
        super().__init__()
        folder = self.enter_context(tempfile.TemporaryDirectory())
        self.path, self.abstract = str(Path(folder, "socket")), secrets.token_hex()
        stream = self._open(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self.port = stream.getsockname()[1]
        self._packets = self._open(
            socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", self.port)
        )
        self._streams = [
            stream,
            self._open(socket.AF_UNIX, socket.SOCK_STREAM, self.path),
            self._open(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.abstract}"),
        ]

    def _open(self, family, kind, address):
        own = self.enter_context(socket.socket(family, kind))
        own.bind(address)
        own.setblocking(False)
        if kind == socket.SOCK_STREAM:
            own.listen()
        return own

    def knocks(self):
        """What came since it was asked last."""
        found = []
        for own in self._streams:
            try:
                visitor, address = own.accept()
                visitor.close()
                found.append(address)
            except BlockingIOError:
                pass
        try:
            found.append(self._packets.recv(99))
        except BlockingIOError:
            pass
        return found
