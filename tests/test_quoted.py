"""Numbers from other people's papers: each in the register, with its source."""

import re

import pytest

from course_lib.data.quoted import quoted, register
from tools import notebooks


@pytest.mark.parametrize("name", register())
def test_a_quoted_table_says_where_it_is_from_and_how_sure_we_are(name):
    entry = quoted(name)
    assert set(entry) == {"source", "what", "values", "status"}
    assert re.search(r"arXiv:\d{4}\.\d{4,5}, (Table|section|abstract)", entry["source"])
    assert entry["status"] in {"A", "B", "C"} and entry["values"]


@pytest.mark.parametrize("name", register())
def test_a_quoted_table_is_shown_in_a_chapter(name):
    chapters = [path.read_text() for path in notebooks.sources()]
    assert any(f'quoted("{name}")' in text for text in chapters)


@pytest.mark.parametrize("source", notebooks.sources(), ids=lambda path: path.stem)
def test_a_score_from_a_paper_in_the_text_is_in_the_register(source):
    known = {n for entry in register().values() for n in entry["values"].values()}
    for cell in notebooks.compose(source).cells:
        if cell.cell_type == "markdown" and "BLEU" in cell.source:
            written = set(map(float, re.findall(r"\b\d+\.\d+\b", cell.source)))
            assert written <= known


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(KeyError, match="nothing quoted is called 'nobody': there is "):
        quoted("nobody")
