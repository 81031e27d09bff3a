"""The notebooks that run in the reader's own browser.

python -m tools.lite build [FOLDER]   add them to the book in _build/html, or FOLDER
python -m tools.lite fetch            fetch what they are made of, once, and check it
python -m tools.lite lock             write site/lite.lock.json anew, from its "wanted"
"""

import argparse
import signal
import sys
import time
from pathlib import Path

from tools.lite import build, files, lock


def main():
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["build", "fetch", "lock"])
    book = files.ROOT / "_build" / "html"
    parser.add_argument("folder", nargs="?", type=Path, default=book)
    arguments = parser.parse_args()
    start = time.monotonic()
    if arguments.action == "lock":
        print(f"{lock.write()} files are in {files.LOCK.name}.")
    elif arguments.action == "fetch":
        came = files.fetch(files.read_lock())
        print(f"Files of the browser notebooks: {came or 'all there, none'} fetched.")
    else:
        build.build(arguments.folder.resolve())
        seconds = time.monotonic() - start
        print(f"The notebooks run in the browser, too ({seconds:.0f} s).", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and tidy up
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
