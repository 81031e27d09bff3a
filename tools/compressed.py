"""A local server that compresses as web hosts do, to weigh and to measure pages.

Texts go out with gzip and connections stay open; the rest is as in `tools.serve`.
"""

import functools
import gzip
import http.server
import io
from http import HTTPStatus
from pathlib import Path

from tools.serve import Handler

TEXTS = ("text/", "image/svg+xml", "application/json", "application/wasm")


class CompressingHandler(Handler):
    """Serves the files of a folder, texts compressed."""

    protocol_version = "HTTP/1.1"

    def send_head(self):
        """Send the head of an answer; gives the file-like body, None for an error."""
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path = path / "index.html"
        if not path.is_file():
            return self._missing()
        return self._answer(HTTPStatus.OK, path)

    def _missing(self):
        """As GitHub Pages does: the site's own page for what is not there."""
        page = Path(self.directory) / "404.html"
        if page.is_file():
            return self._answer(HTTPStatus.NOT_FOUND, page)
        return self.send_error(HTTPStatus.NOT_FOUND)

    def _answer(self, status, path):
        kind = self.guess_type(path)
        body = path.read_bytes()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if kind.startswith(TEXTS):
            body = gzip.compress(body, compresslevel=6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        self.end_headers()
        return io.BytesIO(body)


def compressing_server(folder, port=0):
    """A compressing server of a folder for this machine; port 0 takes any free one."""
    handler = functools.partial(CompressingHandler, directory=str(folder))
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
