"""Byte-pair encoding: by hand, round trips, and the library tokenizers as a witness."""

import builtins
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins import drawn

from course_lib.data import pair_encoding
from course_lib.data.documentation import documentation
from course_lib.data.pair_encoding import (
    BYTES,
    decode,
    encode,
    learn_merges,
    load_tokenizer,
    merge,
    tokens,
    train_tokenizer,
)

pytest.importorskip("tokenizers", reason="tokenizers is not installed")

# The words of Sennrich et al. 2016, section 3.2, with their numbers.
CORPUS = " ".join(5 * ["low"] + 2 * ["lower"] + 6 * ["newest"] + 3 * ["widest"])
TEXTS = st.text(max_size=60) | st.text("ab \n1.é", max_size=60)


def test_merges_by_hand():
    """es 9 times, est 9, lo 7, low 7; then ew, before ne and we: e comes first."""
    learnt = [(b"e", b"s"), (b"es", b"t"), (b"l", b"o"), (b"lo", b"w"), (b"e", b"w")]
    assert learn_merges(CORPUS, 5) == learnt


def test_tokens_by_hand():
    merges = learn_merges(CORPUS, 5)
    table = tokens(merges)
    assert table[256:] == (b"es", b"est", b"lo", b"low", b"ew")
    ids = encode("lowest", merges)
    assert [table[index] for index in ids] == [b"low", b"est"]
    assert ids == [259, 257]


def test_a_pair_is_merged_from_the_left():
    assert merge((b"a",) * 5, (b"a", b"a")) == (b"aa", b"aa", b"a")
    assert merge((b"b", b"a"), (b"a", b"b")) == (b"b", b"a")
    assert merge((), (b"a", b"b")) == ()


def test_pairs_are_counted_with_the_number_of_their_word():
    counts = pair_encoding.count_pairs({(b"a", b"a", b"b"): 3, (b"a", b"b"): 2})
    assert counts == {(b"a", b"a"): 3, (b"a", b"b"): 5}


def test_every_byte_is_a_token_and_visible_ones_come_first():
    assert sorted(BYTES) == [bytes([byte]) for byte in range(256)]
    assert BYTES[:3] == (b"!", b'"', b"#")
    assert tokens([]) == BYTES


def test_a_token_stays_inside_its_piece():
    merges = learn_merges("the end, the end\nthe end 12 12 ...", 100)
    for token in tokens(merges)[256:]:
        assert re.fullmatch(pair_encoding.PIECES, token.decode())


def test_a_pair_that_comes_once_is_no_merge():
    assert learn_merges("ab", 5) == []
    assert learn_merges("ab ab", 5) == [(b"a", b"b")]
    assert learn_merges("", 5) == learn_merges("abab", 0) == []


@drawn
@given(text=TEXTS, other=TEXTS, n_merges=st.integers(0, 20))
def test_any_text_comes_back_whatever_was_learnt(text, other, n_merges):
    merges = learn_merges(text, n_merges)
    for one in (text, other):
        assert decode(encode(one, merges), merges) == one


@drawn
@given(text=TEXTS, n_merges=st.integers(0, 20))
def test_every_merge_makes_its_text_shorter(text, n_merges):
    merges = learn_merges(text, n_merges)
    sizes = [len(encode(text, merges[:n])) for n in range(len(merges) + 1)]
    assert sizes[0] == len(text.encode())
    assert sizes == sorted(set(sizes), reverse=True)


def test_bytes_that_are_no_character_become_a_sign():
    assert decode([BYTES.index(b"\xc3")], []) == "\N{REPLACEMENT CHARACTER}"
    assert decode([], []) == ""


# The library --------------------------------------------------------------------------


@drawn
@given(text=TEXTS, other=TEXTS, n_merges=st.integers(0, 20))
def test_the_library_learns_the_same_merges_and_gives_the_same_ids(
    text, other, n_merges
):
    merges = learn_merges(text, n_merges)
    tokenizer = train_tokenizer(text, 256 + n_merges)
    assert tokenizer.get_vocab_size() == len(tokens(merges))
    for one in (text, other):
        found = tokenizer.encode(one)
        assert found.ids == encode(one, merges)
        assert tokenizer.decode(found.ids) == one


def test_the_library_agrees_on_real_text():
    text = documentation("test")[:30_000]
    merges = learn_merges(text, 100)
    tokenizer = train_tokenizer(text, 356)
    assert tokenizer.encode(text).ids == encode(text, merges)
    assert len(encode(text, merges)) < 0.7 * len(text)


def test_a_tokenizer_is_kept_and_found_again(tmp_path):
    tokenizer = train_tokenizer(CORPUS, 262)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    again = load_tokenizer(path)
    assert again.encode("lowest").ids == tokenizer.encode("lowest").ids == [259, 257]
    assert again.decode([259, 257]) == "lowest"
    assert again.to_str() == tokenizer.to_str()


# Errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, sentence",
    [
        (lambda: learn_merges(b"ab", 1), TypeError,
         "text must be a str, but it is a bytes"),
        (lambda: encode(None, []), TypeError,
         "text must be a str, but it is a NoneType"),
        (lambda: train_tokenizer(["ab"], 300), TypeError,
         "text must be a str, but it is a list"),
        (lambda: learn_merges("ab", -1), ValueError,
         "n_merges must be a whole number from 0 up, got -1"),
        (lambda: train_tokenizer("ab", 255), ValueError,
         "vocab_size must be a whole number from 256 up, got 255"),
        (lambda: decode([3, 256], []), ValueError,
         "ids must be from 0 to 255, got 256"),
        (lambda: decode([-1], []), ValueError, "ids must be from 0 to 255, got -1"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_sentence(call, error, sentence):
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == sentence


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path):
    path = tmp_path / "broken.json"
    with pytest.raises(ValueError, match=r"broken\.json is no tokenizer in JSON: "):
        load_tokenizer(path)
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"broken\.json is no tokenizer in JSON: "):
        load_tokenizer(path)


def test_a_missing_library_is_named(monkeypatch):
    imported = builtins.__import__

    def without(name, *rest):
        if name == "tokenizers":
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError) as error:
        train_tokenizer("ab", 300)
    assert str(error.value) == (
        "a fast tokenizer needs the library tokenizers: pip install tokenizers"
    )
