"""The documentation as text: the same everywhere, no leak, windows from all of it."""

import gzip
import sys
import sysconfig
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from course_lib.data import documentation as module
from course_lib.data.documentation import CHARACTERS, documentation, sample_windows
from tools import documentation as maker

RNG = np.random.default_rng(0)
FACTOR = 6364136223846793005


def window_sums(text, n=50):
    """A checksum of every piece of n characters; equal pieces have equal ones.

    The sum of character i times FACTOR**i, modulo 2**64, i counted within the piece.
    """
    codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.uint64)
    powers = np.cumprod(np.full(len(codes), FACTOR, np.uint64))
    inverses = np.cumprod(np.full(len(codes), pow(FACTOR, -1, 2**64), np.uint64))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(codes * powers)])
    return ((sums[n:] - sums[:-n]) * inverses[: len(codes) - n + 1]).tolist()


def test_window_sums_tell_pieces_apart():
    sums = window_sums("abcabcabd", 3)
    assert sums[0] == sums[3] and len(set(sums)) == 4


@pytest.mark.parametrize("form", [str, maker.flat])
def test_no_50_characters_of_the_test_text_are_in_the_training_text(form):
    """Neither as they stand nor when lines are broken elsewhere."""
    train, test = (form(documentation(split)) for split in ("train", "test"))
    assert set(window_sums(train)).isdisjoint(window_sums(test))


def test_a_leak_would_be_found():
    text = documentation("test")
    leaking = window_sums(40 * "x" + text[-50:])
    assert set(window_sums(text)).intersection(leaking) == {leaking[-1]}


@pytest.mark.parametrize("split", ["train", "test"])
def test_no_paragraph_comes_twice(split):
    paragraphs = [maker.flat(p) for p in documentation(split).split("\n\n")]
    assert len(paragraphs) == len(set(paragraphs))


def test_the_text_is_plain_and_as_long_as_promised():
    assert round(len(documentation("train")) / 1e6, 1) == 1.1
    assert round(len(documentation("test")) / 1e6, 2) == 0.12
    for split in ("train", "test"):
        assert set(documentation(split)) <= set(CHARACTERS.words)
        assert documentation(split) == documentation(split).strip()


def test_another_text_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "python_documentation"
    folder.mkdir()
    (folder / "test.txt.gz").write_bytes(gzip.compress(b"another text"))
    monkeypatch.setattr(module, "files", lambda _: tmp_path)
    with pytest.raises(ValueError) as error:
        documentation.__wrapped__("test")
    assert str(error.value) == "test.txt.gz is not the text that it was: install anew"


def test_its_licence_lies_beside_it():
    folder = files("course_lib.data") / "python_documentation"
    notice = "Copyright (c) 2001-2024 Python Software Foundation; All Rights Reserved"
    assert notice in (folder / "README.md").read_text("utf-8")
    licence = (folder / "LICENSE.txt").read_text("utf-8")
    assert "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2" in licence
    assert notice in " ".join(licence.split())


# How it is made -----------------------------------------------------------------------


@pytest.mark.skipif(sys.version_info[:3] != (3, 13, 0), reason="made from 3.13.0")
def test_the_command_makes_the_same_text_again():
    train, test = maker.split(maker.documents(Path(sysconfig.get_path("stdlib"))))
    for split, found in (("train", train), ("test", maker.without_leaks(train, test))):
        assert "\n\n".join(found) == documentation(split)


def test_a_document_is_in_one_split_and_a_paragraph_once():
    long = "This paragraph is long enough to be taken into the text, number {}."
    texts = {
        f"document {i}": f"{long.format(i)}\n\n{long.format('twice')}"
        for i in range(40)
    }
    train, test = maker.split(texts)
    assert len(train) + len(test) == 41
    assert 1 <= len(test) <= 12


def test_headings_sessions_and_other_alphabets_are_left_out():
    kept = "A paragraph that has more than fifty characters, in\n   two lines."
    text = f"Heading\n=======\n\n{kept}  \n\n\n>>> {kept}\n\n{kept} Ünlü"
    assert list(maker.paragraphs(text)) == [kept]


def test_what_leaks_is_left_out_even_across_paragraphs_and_lines():
    one = "The first paragraph of all ends with some unremarkable words."
    two = "Then a second one begins, and it goes on for quite a while."
    other = "Nothing of this paragraph stands anywhere else in any of the texts."
    assert maker.without_leaks([one], [other, one]) == [other]
    assert maker.without_leaks([one], [other, one.replace(" ", "\n")]) == [other]
    across = "x" * 60 + one[-30:], two[:30] + "y" * 60
    assert maker.without_leaks([one, two], list(across)) == [across[0]]


def test_notices_of_others_are_recognised():
    ours = "# Copyright (C) 2001-2010 Python Software Foundation"
    others = "# Copyright 2001-2019 by Vinay Sajip.", "Permission to use, copy,"
    assert not maker.OTHER_NOTICE.search(ours)
    assert all(map(maker.OTHER_NOTICE.search, others))


# Windows ------------------------------------------------------------------------------


def test_windows_are_pieces_of_the_text_from_everywhere():
    ids = np.arange(13) * 3
    windows = sample_windows(ids, 500, 5, np.random.default_rng(1))
    assert windows.shape == (500, 5)
    assert (np.diff(windows, axis=1) == 3).all()
    assert set(windows[:, 0]) == set(ids[:9])  # each start, the last included


def test_a_window_may_be_the_whole_text():
    assert sample_windows([4, 5, 6], 1, 3, RNG).tolist() == [[4, 5, 6]]
    assert sample_windows([4, 5, 6], 0, 2, RNG).shape == (0, 2)


def test_a_seed_gives_the_same_windows_on_every_machine():
    ids = CHARACTERS.encode(documentation("test"))
    windows = sample_windows(ids, 3, 24, np.random.default_rng(2))
    assert ["".join(CHARACTERS.decode(window)) for window in windows] == [
        "de and encoding can be N",
        "ry 'spec' (as produced b",
        "lf, other) except if one",
    ]


# Errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, sentence",
    [
        (lambda: documentation("dev"), ValueError,
         "split must be 'train' or 'test', got 'dev'"),
        (lambda: sample_windows([1, 2], 1, 3, RNG), ValueError,
         "ids must be one row of at least 3, the length of a window, but its shape is "
         "(2,)"),
        (lambda: sample_windows([[1, 2]], 1, 1, RNG), ValueError,
         "ids must be one row of at least 1, the length of a window, but its shape is "
         "(1, 2)"),
        (lambda: sample_windows([1, 2], -1, 1, RNG), ValueError,
         "n_batch must be a whole number from 0 up, got -1"),
        (lambda: sample_windows([1, 2], 1, 0, RNG), ValueError,
         "n must be a whole number from 1 up, got 0"),
        (lambda: sample_windows([1.0, 2.0], 1, 1, RNG), TypeError,
         "ids must hold integers, but its dtype is float64"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_sentence(call, error, sentence):
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == sentence
