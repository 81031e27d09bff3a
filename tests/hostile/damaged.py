"""Files that are damaged, or no notebooks, or notebooks of another time."""

import codecs
import json

from hostile import IMPORT, LOOKUP, SOFTMAX, WEIGHTS, Case, code_cell
from hostile.edited import notebook

NOT_JSON, NO_CELLS = "is not a notebook: it is not JSON", "it has no cells"
GOOD = notebook(*map(code_cell, (IMPORT, WEIGHTS, SOFTMAX, LOOKUP)))
UNREADABLE = {
    "nothing": (b"", NOT_JSON),
    "blanks": (b" \n" * 1000, NOT_JSON),
    "text": (b"def softmax(scores): ...", NOT_JSON),
    "a notebook that is cut off": (GOOD[: len(GOOD) // 2], NOT_JSON),
    "a notebook with more behind it": (GOOD + b"{}", NOT_JSON),
    "a notebook in UTF-16": (GOOD.decode().encode("utf-16"), NOT_JSON),
    "zeros": (bytes(10**6), NOT_JSON),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100, NOT_JSON),
    "a zip": (b"PK\x03\x04" + bytes(100), NOT_JSON),
    "a hundred thousand open lists": (b"[" * 10**5, NOT_JSON),
    "a hundred thousand open objects": (b'{"cells":' * 10**5, NOT_JSON),
    "a number of a million digits": (b'{"cells": ' + b"9" * 10**6 + b"}", NOT_JSON),
    "null": (b"null", NO_CELLS),
    "a list": (json.dumps([code_cell(SOFTMAX)]).encode(), NO_CELLS),
    "cells that are a number": (b'{"cells": NaN}', NO_CELLS),
    "cells that are an object": (b'{"cells": {"0": {"cell_type": "code"}}}', NO_CELLS),
    "cells that are no objects": (b'{"cells": [3, null, "a", []]}', NO_CELLS),
    "worksheets that are none": (b'{"worksheets": [3, {"cells": 3}, null]}', NO_CELLS),
    "ten million lists": (
        b'{"cells": [' + b"[]," * 10**7 + b"0]}", "holds more than 1,000,000 values"),
    "a megabyte of code": (
        notebook(code_cell("a\n" * 2**19)), "holds more than 64 kB of code"),
}  # fmt: skip


def old(*sources):
    """A notebook of format 3."""
    cells = [
        {"cell_type": "code", "input": source, "language": "python"}
        for source in sources
    ]
    return json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}).encode()


def with_cells(*cells, **more):
    """A right notebook with more cells between the answers, and more keys."""
    right = list(map(code_cell, (IMPORT, WEIGHTS, SOFTMAX, LOOKUP)))
    return notebook(*right[:2], *cells, *right[2:], **more)


def filled(source, size=2**14):
    """A cell that repeats what a parser or a pattern may take long over."""
    return code_cell(source * (size // len(source)))


READ = {
    "format 3": old(IMPORT, WEIGHTS, SOFTMAX, LOOKUP),
    "format 5": with_cells(nbformat=5, nbformat_minor=99),
    "no format": with_cells(nbformat=None),
    "a mark of byte order": codecs.BOM_UTF8 + GOOD,
    "bytes that are no text": GOOD.replace(b"import num", b"# \xff\\nimport num"),
    "sources in lines": GOOD.replace(b"\\n", b'\\n", "').replace(
        b'"source": "', b'"source": ["'
    ).replace(b'"}', b'"]}'),
    "numbers that are none": with_cells(metadata={"a": float("nan"), "b": 1e999}),
    "keys that are there twice": GOOD.replace(b'{"cell', b'{"source": 3, "cell'),
    "cells that are no cells": with_cells(3, None, "cell", [], {}, {"cell_type": 3}),
    "cells without a source": with_cells(
        {"cell_type": "code"}, *map(code_cell, (None, 3, {"a": 1}, [3, None]))
    ),
    "a cell with NUL": with_cells(code_cell("a = '\0'"), code_cell("\0" * 100)),
    "a cell with half a character": with_cells(code_cell("a = '\ud800'")),
    "a cell that ends other cells": with_cells(code_cell('"]}]}')),
    "three thousand empty cells": with_cells(*[code_cell("")] * 3000),
    "statements for a whole book": with_cells(filled("a\n", 2**15)),
    "a string of many fields": with_cells(code_cell("f'" + "{a}" * 2**12 + "'")),
    "brackets that stay open": with_cells(filled("(")),
    "minus after minus": with_cells(filled("-"), filled("not ")),
    "a name of a name of a name": with_cells(filled("a.")),
    "a sum of sums": with_cells(code_cell("1" + "+1" * 2**14)),
    "branches of branches": with_cells(
        code_cell("if a: pass\n" + "elif a: pass\n" * 2**11)
    ),
    "questions about questions": with_cells(filled("?"), filled("a? ")),
    "blanks, and what is no Python": with_cells(filled(" "), filled("a, ")),
}  # fmt: skip

CASES = [
    *(
        Case(f"unreadable: {name}", content=content, trouble=trouble)
        for name, (content, trouble) in UNREADABLE.items()
    ),
    *(Case(f"read: {name}", content=content) for name, content in READ.items()),
]  # fmt: skip
