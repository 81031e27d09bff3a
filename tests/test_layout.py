"""The shape of the repository: who imports whom, twins, one address, habits."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "course_lib"
# A part may import the parts to its left, and itself.
ARROWS = (
    "shapes in_numpy data in_torch training pretrained plotting widgets grading cli"
).split()
LONGEST_MODULE = 250
# Models of images train too long for NumPy, and modules are PyTorch's own idea.
TORCH_ONLY = {"denoiser", "image_tokens", "parameters", "vision"}
TORCH_ARGUMENTS = {"device=None", "dtype=None"}  # NumPy has float64 and no device
# What is said about a chapter's questions is text, and stays in one file a chapter.
PROSE = ("course_lib/grading/questions/", "course_lib/grading/explanations/")
# Downloads from elsewhere have one home; addresses of one machine have none.
OTHER_HOSTS = {
    "download.pytorch.org": {"binder/requirements.txt"},
    "pypi.org": set(),
    "pythonhosted.org": set(),
    "registry.npmjs.org": set(),
    "unpkg.com": set(),
    "cdn.jsdelivr.net": set(),
    "cdnjs.cloudflare.com": set(),
    "deb.debian.org": set(),
}
MACHINE_PATHS = ["/work/", "/root/", "/home/", "/tmp/", "/Users/", ".pyenv"]
# `acme/course` in an address of this course, wherever one is written.
OUR_ADDRESS = {
    "mybinder.org/v2/gh/": "everywhere",
    "https://codespaces.new/": "everywhere",
    "colab.research.google.com/github/": "everywhere",
    "git+https://github.com/": "everywhere",
    "https://github.com/": {
        "README.md",
        "CITATION.cff",
        "CONTRIBUTING.md",
    },
}


@cache
def our_files():
    """Every file of the repository that git would keep, as (name, text)."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this copy is no git repository, so its files cannot be listed")
    names = sorted(filter(None, listed.split("\0")))
    return [(name, text_of(ROOT / name)) for name in names if (ROOT / name).is_file()]


def text_of(path):
    """The text of a file, or nothing for a picture."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def modules(folder):
    """Every Python file below a folder."""
    return sorted(folder.rglob("*.py"))


def imported_names(path):
    """Dotted names of the modules that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            base = ".".join([*package, *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def part_of(dotted_name):
    """`in_numpy` for `course_lib.in_numpy.ops`; None for what is not of the library."""
    first, *rest = dotted_name.split(".")
    return rest[0] if first == "course_lib" and rest else None


@pytest.mark.parametrize(
    "path", modules(LIBRARY), ids=lambda path: str(path.relative_to(LIBRARY))
)
def test_a_part_imports_only_parts_to_its_left(path):
    part = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
    imported = set(filter(None, map(part_of, imported_names(path))))
    if part == "__init__":
        assert imported == set()  # else importing one part would import them all
        return
    assert part in ARROWS
    allowed = set(ARROWS[: ARROWS.index(part) + 1])
    if part == "in_torch":
        allowed.discard("in_numpy")  # twins meet in tests and chapters
    assert imported <= allowed


def test_nothing_in_the_library_imports_what_is_built_on_it():
    for path in modules(LIBRARY):
        tops = {name.split(".")[0] for name in imported_names(path)}
        assert not tops & {"tests", "tools", "chapters", "benchmarks", "conftest"}, path


def public_functions(path):
    """Names and arguments (with defaults) of the public functions of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name: ast.unparse(node.args).split(", ")
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


def module_names(part):
    """The names of the modules of a part."""
    return {path.stem for path in (LIBRARY / part).glob("*.py")}


def test_every_numpy_module_has_its_torch_twin_and_every_twin_its_module():
    assert module_names("in_numpy") == module_names("in_torch") - TORCH_ONLY


@pytest.mark.parametrize("name", sorted(module_names("in_numpy") - {"__init__"}))
def test_twins_have_the_same_functions_with_the_same_arguments_in_order(name):
    in_numpy = public_functions(LIBRARY / "in_numpy" / f"{name}.py")
    in_torch = public_functions(LIBRARY / "in_torch" / f"{name}.py")
    forward = [f for f in in_numpy if not f.endswith("_backward")]  # autograd has those
    assert list(in_torch) == forward
    for function, arguments in in_torch.items():
        arguments = [name for name in arguments if name not in TORCH_ARGUMENTS]
        assert arguments == in_numpy[function], function


def test_every_backward_has_its_forward():
    for path in (LIBRARY / "in_numpy").glob("*.py"):
        functions = public_functions(path)
        backward = {f for f in functions if f.endswith("_backward")}
        assert {f.removesuffix("_backward") for f in backward} <= set(functions)


LIGHT_MODULES = [
    "course_lib",
    "course_lib.in_numpy",
    "course_lib.in_numpy.attention",
    "course_lib.grading",
    "course_lib.cli",
]


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_importing_it_brings_neither_torch_nor_matplotlib(module):
    code = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'matplotlib', 'course_lib.in_torch'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stderr.strip() == ""


def test_no_module_is_called_utils():
    names = [Path(name).stem for name, _ in our_files()]
    assert not {"utils", "util", "helpers", "misc", "common"} & set(names)


def test_every_module_fits_in_the_head():
    long = {
        name: text.count("\n")
        for name, text in our_files()
        if name.startswith(("course_lib/", "tools/", "site/"))
        and name.endswith(".py")
        and not name.startswith(PROSE)
        and text.count("\n") > LONGEST_MODULE
    }
    assert long == {}


def test_no_file_names_a_place_on_one_machine():
    found = [
        (name, path)
        for name, text in our_files()
        for path in MACHINE_PATHS
        if path in text and name != "tests/test_layout.py"
    ]
    assert found == []


def test_no_file_names_a_host_that_things_are_downloaded_from():
    found = [
        (name, host)
        for name, text in our_files()
        for host, homes in OTHER_HOSTS.items()
        if host in text and name not in homes | {"tests/test_layout.py"}
    ]
    assert found == []


def our_slug():
    """`owner/name` of the repository: pyproject.toml is its one home."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    address = project["project"]["urls"]["Repository"]
    return re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", address)[1]


@pytest.mark.parametrize("prefix", OUR_ADDRESS)
def test_the_address_of_the_repository_is_the_same_everywhere(prefix):
    where, wrong = OUR_ADDRESS[prefix], []
    for name, text in our_files():
        if name == "tests/test_layout.py":
            continue
        if where == "everywhere" or name in where:
            slugs = re.findall(re.escape(prefix) + r"([\w.-]+/[\w-]+)", text)
            wrong += [(name, slug) for slug in slugs if slug != our_slug()]
    assert wrong == []


@pytest.mark.parametrize("name", ["README.md", "CITATION.cff"])
def test_the_address_of_the_repository_is_given_where_readers_look(name):
    assert f"https://github.com/{our_slug()}" in (ROOT / name).read_text("utf-8")
