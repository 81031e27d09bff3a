"""Answers to the questions, wrong and right, one file a chapter.

A cell begins `# %% 2.1 wrong: says "sums to"` or `# %% 2.1 right`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

CELL = re.compile(
    r'^# %% (\S+) (?:right|wrong: says "([^"\n]+)")\n(.*?)(?=^# %% |\Z)', re.M | re.S
)


@dataclass(frozen=True)
class Answer:
    """One answer: question id, code, and what its message says ("" if it is right)."""

    question: str
    says: str
    code: str


def answers():
    """Every answer of every chapter, in order."""
    files = sorted(Path(__file__).parent.glob("chapter_*.py"))
    text = "".join(file.read_text() for file in files)
    return [Answer(id, says, code) for id, says, code in CELL.findall(text)]
