"""How the worker is confined: the seam at which real sandboxes will be chosen."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Sandbox:
    """A way to run an untrusted command.

    Attributes:
        name: as the report gives it
        of_record: whether a score from it may count
        confine: (argv, folder) -> argv that does the same, with only `folder` to
            write to
    """

    name: str
    of_record: bool
    confine: Callable[[list[str], str], list[str]]


# A process of its own and nothing more: it can read what the user can.
PLAIN = Sandbox("plain", False, lambda argv, folder: argv)


def choose():
    """The best sandbox that this machine offers. So far there is one."""
    return PLAIN
