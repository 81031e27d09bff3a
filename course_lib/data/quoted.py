"""The register of every number that the course quotes and has not measured itself.

Each entry names its source, what was measured, and how sure we are:
A  read in the paper's abstract or in the authors' own code
B  two independent secondary notes agree
C  one secondary note
"""

import json
from functools import lru_cache
from importlib.resources import files


@lru_cache
def register():
    """{name: {"source", "what", "values", "status"}} of all quoted numbers."""
    return json.loads((files(__package__) / "quoted.json").read_text("utf-8"))


def quoted(name):
    """One entry of the register.

    Raises:
        KeyError that lists what there is.
    """
    if name not in register():
        known = ", ".join(sorted(register()))
        raise KeyError(f"nothing quoted is called {name!r}: there is {known}")
    return register()[name]
