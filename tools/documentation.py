"""Make the text of `course_lib.data.documentation` from the sources of Python 3.13.0.

    python3.13 tools/documentation.py LIB

LIB is the folder of that Python's standard library: `Lib` in its source. Taken are the
docstrings of its modules and the topics of `help()`, parts of the language reference.
It prints the hashes that `documentation` asks for. An older Python cannot read LIB.
"""

import ast
import gzip
import hashlib
import re
import sys
from pathlib import Path
from zlib import crc32

HERE = Path(__file__).parents[1] / "course_lib" / "data" / "python_documentation"
WINDOW = 50  # no piece of text this long is in both splits
TEST_SHARE = 8  # one document in so many is for testing
SKIPPED = set("test tests idle_test idlelib lib2to3 turtledemo ensurepip "
              "site-packages encodings pydoc_data __phello__".split())  # fmt: skip
# A notice of somebody else than the Python Software Foundation.
OTHER_NOTICE = re.compile(
    r"copyright(?!.*python software foundation)[^\n]*\d{4}|permission (?:is|to)|"
    "redistribution",
    re.IGNORECASE,
)


def documents(lib):
    """{name: text} of every module or package at the top, and of every topic."""
    found = {}
    for path in sorted(lib.rglob("*.py")):
        parts = path.relative_to(lib).parts
        source = path.read_text("utf-8", errors="replace")
        if (
            set(parts) & SKIPPED
            or "lib-dynload" in parts
            or OTHER_NOTICE.search(source)
        ):
            continue
        texts = found.setdefault(parts[0].removesuffix(".py"), [])
        texts += docstrings(source)
    topics = ast.parse((lib / "pydoc_data" / "topics.py").read_text("utf-8"))
    for topic, text in ast.literal_eval(topics.body[-1].value).items():
        found[f"topic {topic}"] = [text]
    return {name: "\n\n".join(texts) for name, texts in sorted(found.items())}


def docstrings(source):
    """Those of a module, its classes and functions, in the order of the source."""
    owners = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, owners)]
    nodes.sort(key=lambda node: getattr(node, "lineno", 0))
    return filter(None, map(ast.get_docstring, nodes))


def paragraphs(text):
    """The paragraphs of a text that are plain ASCII, no heading and no session."""
    for paragraph in re.split(r"\n\s*\n", text.expandtabs()):
        lines = [line.rstrip() for line in paragraph.strip("\n").splitlines()]
        paragraph = "\n".join(lines)
        plain = re.fullmatch("[ -~\n]+", paragraph) and ">>>" not in paragraph
        if plain and len(paragraph) >= WINDOW:
            yield paragraph


def split(texts):
    """Each paragraph once, those of a document in one split: (train, test) lists."""
    seen, splits = set(), ([], [])
    for name, text in texts.items():
        for paragraph in paragraphs(text):
            if flat(paragraph) not in seen:
                seen.add(flat(paragraph))
                for_test = crc32(name.encode()) % TEST_SHARE == 0
                splits[for_test].append(paragraph)
    return splits


def without_leaks(train, test):
    """The paragraphs of test that share no window with train, however lines break."""
    for form in (flat, str):
        known = windows(form("\n\n".join(train)))
        kept = []
        for paragraph in test:
            joined = "\n\n".join([*kept[-1:], paragraph])
            if not windows(form(joined)) & known:
                kept.append(paragraph)
        test = kept
    return test


def flat(text):
    """A text in one line: spaces and ends of lines become one space."""
    return re.sub(r"\s+", " ", text)


def windows(text):
    """The set of all pieces of WINDOW characters."""
    return {text[start : start + WINDOW] for start in range(len(text) - WINDOW + 1)}


def main(lib):
    train, test = split(documents(Path(lib)))
    texts = {"train": train, "test": without_leaks(train, test)}
    for name, found in texts.items():
        text = "\n\n".join(found).encode("ascii")
        (HERE / f"{name}.txt.gz").write_bytes(gzip.compress(text, 9, mtime=0))
        print(name, len(text), hashlib.sha256(text).hexdigest())


if __name__ == "__main__":
    main(sys.argv[1])
