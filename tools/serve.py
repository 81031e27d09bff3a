"""Build the book, or build and serve it.

python tools/serve.py build
python tools/serve.py serve [--port 8000]    (the environment's PORT does the same)

The browser notebooks (`python -m tools.lite build`) are no part of the book's build.
While the book is served, they are built beside it.
"""

import argparse
import functools
import http.server
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROBLEM = ("WARNING", "ERROR", "Exception", "Traceback")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files quietly, each with the type that browsers insist on."""

    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".woff": "font/woff",
        ".woff2": "font/woff2",
    }

    def log_message(self, *args):
        """Say nothing: one line per request would hide the line that matters."""


def server(folder, port):
    """A server of a folder for this machine only; port 0 takes any free one."""
    handler = functools.partial(Handler, directory=str(folder))
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)


def build(source=ROOT, output=ROOT):
    """Build the book of `source` with warnings as errors into `output`/_build/html."""
    start = time.monotonic()
    subprocess.run([sys.executable, ROOT / "tools" / "vendor.py"], check=True)
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command = [jupyter_book, "build", source, "--path-output", output]
    command += ["--warningiserror", "--keep-going"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"The book does not build:\n{problems(done)}")
    html = Path(output) / "_build" / "html"
    print(f"The book is in {html} ({time.monotonic() - start:.0f} s).", flush=True)
    return html


def problems(done):
    """The lines of a failed build's log that say why, else its end."""
    lines = (done.stdout + done.stderr).splitlines()
    found = [line for line in lines if any(word in line for word in PROBLEM)]
    return "\n".join(found or lines[-20:])


def serve(port):
    """Build the book and serve it until Ctrl-C."""
    try:
        listening = server(ROOT / "_build" / "html", port)
    except OSError:
        raise SystemExit(
            f"Port {port} is taken: choose another one with PORT=, say PORT={port + 1}."
        ) from None
    with listening:
        html = build()
        print(f"The course is at http://localhost:{port}  (Ctrl-C ends it)", flush=True)
        with add_browser_notebooks(html):
            listening.serve_forever()


@contextmanager
def add_browser_notebooks(html):
    """Build the notebooks that run in the browser while something else is done."""
    command = [sys.executable, "-m", "tools.lite", "build", html]
    # In a session of its own, so that a Ctrl-C is ours alone.
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as building:
        try:
            yield building
        finally:
            building.terminate()


def main():
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["build", "serve"])
    parser.add_argument("--port", type=int, default=os.environ.get("PORT", 8000))
    arguments = parser.parse_args()
    try:
        build() if arguments.action == "build" else serve(arguments.port)
    except KeyboardInterrupt:
        print()
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from None  # it has said why


if __name__ == "__main__":
    main()
