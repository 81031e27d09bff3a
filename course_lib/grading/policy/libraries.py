"""Dotted names of libraries: one form of each, what is forbidden, what is unknown.

Nothing is imported. A path is `torch.nn.functional.softmax`; what a call of a library
gave back is `torch()`, and `torch().softmax` is a method of it.
"""

import ast
import builtins
import sys
from functools import lru_cache
from pathlib import Path

import course_lib
from course_lib.grading.policy.cells import short

HOME = Path(course_lib.__file__).parent
OURS = HOME.name
MAX_PARTS, MAX_NAME = 12, 100
# Modules that libraries hold under their own names, `torch.sys`.
INNER = frozenset(
    "builtins ctypes gc importlib inspect jax numpy os pickle scipy sklearn subprocess "
    "sys torch".split()
)
# What is known not to hide an answer, apart from what a question forbids by name.
KNOWN = frozenset(
    "__future__ abc array bisect builtins cmath collections concurrent "
    "contextlib copy course_lib dataclasses datetime decimal einops enum fractions "
    "functools hashlib heapq importlib itertools jax json keras logging math "
    "matplotlib numbers numpy operator pprint queue random re scipy secrets "
    "sklearn statistics string struct sys tensorflow textwrap threading time torch "
    "tqdm types typing warnings".split()
)
HARMLESS_IN = {
    "sys": "byteorder exit float_info getrecursionlimit getsizeof int_info maxsize "
    "platform setrecursionlimit stderr stdout version version_info".split(),
    "importlib": ["import_module", "reload"],
}
TEXT = "runs text as code"
FILE = "reads what is not in the notebook"
# What the grader's worker itself uses around an answer.
OF_WORKER = ("base64", "json", "numpy", "traceback", "warnings")
NAMES = "reaches names that are not written there"
CONCERNS = {
    **dict.fromkeys(["builtins.compile", "builtins.eval", "builtins.exec"], TEXT),
    **dict.fromkeys(["numpy.testing.rundocs", "numpy.testing.runstring"], TEXT),
    **dict.fromkeys(["typing.get_type_hints", "torch.jit.CompilationUnit"], TEXT),
    **dict.fromkeys(["types.CodeType", "types.FunctionType"], TEXT),
    **dict.fromkeys(["builtins.breakpoint", "builtins.input", "builtins.open"], FILE),
    **dict.fromkeys(["builtins.globals", "builtins.locals", "builtins.vars"], NAMES),
    **dict.fromkeys(["builtins.__builtins__", "builtins.__loader__"], NAMES),
    **dict.fromkeys(["builtins.__spec__"], NAMES),
    **{
        f"numpy.{name}": FILE
        for name in "DataSource ctypeslib f2py fromfile fromregex genfromtxt load "
        "loadtxt memmap lib.format lib.npyio".split()
    },
    **dict.fromkeys(["torch.load", "torch.jit.load", "torch.hub"], FILE),
    **dict.fromkeys(["torch.package", "torch.utils.cpp_extension"], FILE),
    **dict.fromkeys(["scipy.LowLevelCallable", "scipy.io"], FILE),
}

# Ways from any object to the names or the code behind it.
BEHIND = frozenset(
    "__base__ __bases__ __builtins__ __closure__ __code__ __dict__ __getattr__ "
    "__getattribute__ __globals__ __loader__ __mro__ __reduce__ __reduce_ex__ __self__ "
    "__spec__ __subclasses__ __traceback__ ag_frame cr_frame ctypes f_back f_builtins "
    "f_code f_globals f_locals gi_frame tb_frame".split()
)


def is_value(path):
    """True for what a call gave back, and what is in it."""
    return "()" in path


def is_ours(path):
    """True for a path in our own package."""
    return path.partition(".")[0] == OURS


def canonical(path):
    """The one form of a path: re-exports of our own package followed to their home."""
    for _ in range(MAX_PARTS):
        first, *rest = path.split(".")
        if is_value(path):
            break
        inner = [i for i, part in enumerate(rest) if part.lstrip("_") in INNER]
        if inner and first not in ("jax", OURS):
            path = ".".join(rest[inner[-1] :]).lstrip("_")
            continue
        if first != OURS or (followed := _followed(path)) == path:
            break
        path = followed
    return ".".join(path.split(".")[:MAX_PARTS])


def exports(module, name):
    """Does `from module import *` bring a name? None for a library that is not ours."""
    if not is_ours(module):
        return None
    return name in _names(canonical(module)) and not name.startswith("_")


def forbidden(path, entries):
    """The entry that a path falls under, or None.

    An entry of our package forbids its path and all below. One of another library does
    so under any of its names: `torch.nn.GRU` is `torch.nn.modules.rnn.GRU` as well, so
    parts may stand between those of the entry.
    """
    first, *rest = path.replace("()", "").split(".")
    for entry in entries:
        library, *parts = entry.split(".")
        if library != first:
            continue
        if library == OURS:
            if not is_value(path) and f"{path}.".startswith(f"{canonical(entry)}."):
                return entry
        elif _in_order(parts, rest):
            return entry
        elif is_value(path) and is_method(entry) and rest[-1:] == parts[-1:]:
            return entry
    return None


def is_method(entry):
    """True for `torch.Tensor.softmax`, which is called on a value."""
    *_, owner, name = entry.split(".")
    return owner[:1].isupper() and name[:1].islower()


def concern(path):
    """Why it cannot be told what is behind a path; None if it can."""
    parts = path.split(".")
    if is_value(path):
        return None
    if parts[0] not in KNOWN:
        where = "a module" if parts[0] in sys.stdlib_module_names else "a library"
        return f"uses `{short(parts[0], 40)}`, {where} that is not followed here"
    if not set(parts[1:2]) <= set(HARMLESS_IN.get(parts[0], parts[1:2])):
        return NAMES
    prefixes = (".".join(parts[:n]) for n in range(2, len(parts) + 1))
    return next((CONCERNS[p] for p in prefixes if p in CONCERNS), None)


def builtin(name):
    """Path of a builtin, or None."""
    known = hasattr(builtins, name) or name == "__builtins__"
    return f"builtins.{name}" if known else None


def _in_order(parts, path):
    """Do the parts stand in a path in this order, whatever is between them?"""
    left = iter(path)
    return all(part in left for part in parts)


def _followed(path):
    """A path of ours, one import of one of our modules followed."""
    first, *rest = path.split(".")
    module = first
    for position, part in enumerate(rest):
        if _file(f"{module}.{part}"):
            module = f"{module}.{part}"
            continue
        source = _names(module).get(part)
        return ".".join([source, *rest[position + 1 :]]) if source else path
    return path


def _file(module):
    """Source of one of our modules, or None if there is no such module."""
    parts = module.split(".")[1:]
    if not all(part.isidentifier() and len(part) < MAX_NAME for part in parts):
        return None
    folder = HOME.joinpath(*parts)
    files = (folder / "__init__.py", folder.with_suffix(".py") if parts else folder)
    return next((file for file in files if file.is_file()), None)


@lru_cache(maxsize=256)
def _names(module):
    """Names at the top of one of our modules: where each is imported from, or None."""
    names, file = {}, _file(module)
    for node in ast.parse(file.read_text(encoding="utf-8")).body if file else ():
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name] = alias.name
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names[node.name] = None
    return names
