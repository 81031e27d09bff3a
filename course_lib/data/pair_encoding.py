"""Byte-pair encoding: frequent pairs of tokens become tokens, until there are enough.

The functions above `train_tokenizer` are the definition, to be read. It and
`load_tokenizer` are for use: the same on the library tokenizers, much faster.
"""

import re
from collections import Counter

from course_lib.shapes.basic import check_count

# A token never reaches across these pieces: a word with the space before it, digits,
# other signs, spaces and lines. Every character is in exactly one piece.
PIECES = " ?[A-Za-z]+| ?[0-9]+| ?[^A-Za-z0-9 \n]+|[ \n]+"

# Every byte is a token, in the order of GPT-2's vocabulary: visible signs come first.
_VISIBLE = (*range(33, 127), *range(161, 173), *range(174, 256))
_OTHERS = tuple(byte for byte in range(256) if byte not in _VISIBLE)
BYTES = tuple(bytes([byte]) for byte in _VISIBLE + _OTHERS)


def learn_merges(text, n_merges):
    """The pairs of neighbouring tokens to merge, the most frequent one first.

    Sennrich, Haddow and Birch 2016, arXiv:1508.07909, algorithm 1, on bytes. Among
    equally frequent pairs the one whose tokens have the lowest ids is taken.

    Args:
        text:     str, to learn from
        n_merges: int, at most; it ends earlier when no pair comes twice

    Returns:
        list of pairs of bytes, such as (b"l", b"o"), in the order they are learnt.
    """
    check_text(text)
    check_count("n_merges", n_merges, 0)
    words = Counter(map(split_bytes, re.findall(PIECES, text)))
    id_of = {token: index for index, token in enumerate(BYTES)}
    merges = []
    for _ in range(n_merges):
        counts = count_pairs(words)
        if max(counts.values(), default=0) < 2:
            break
        best = min(counts, key=lambda p: (-counts[p], id_of[p[0]], id_of[p[1]]))
        id_of.setdefault(best[0] + best[1], len(id_of))
        words = {merge(word, best): n for word, n in words.items()}
        merges.append(best)
    return merges


def split_bytes(piece):
    """A string as a tuple of single bytes: "né" has three."""
    return tuple(bytes([byte]) for byte in piece.encode("utf-8"))


def count_pairs(words):
    """How often each pair of neighbours occurs, in {word as tokens: its number}."""
    counts = Counter()
    for word, n in words.items():
        for pair in zip(word, word[1:], strict=False):
            counts[pair] += n
    return counts


def merge(word, pair):
    """A word with each occurrence of the pair made one token, from the left."""
    merged, position = [], 0
    while position < len(word):
        found = word[position : position + 2] == pair
        merged.append(pair[0] + pair[1] if found else word[position])
        position += 1 + found
    return tuple(merged)


def tokens(merges):
    """Every token, its id being its place: the 256 bytes, then what merges made."""
    return tuple(dict.fromkeys([*BYTES, *(left + right for left, right in merges)]))


def encode(text, merges):
    """A text as a list of ids of `tokens(merges)`."""
    check_text(text)
    id_of = {token: index for index, token in enumerate(tokens(merges))}
    pieces = re.findall(PIECES, text)
    ids_of = {
        piece: [id_of[token] for token in split_piece(piece, merges)]
        for piece in set(pieces)
    }
    return [index for piece in pieces for index in ids_of[piece]]


def split_piece(piece, merges):
    """One piece as tokens: the merges are done again, in the order they were learnt."""
    word = split_bytes(piece)
    for pair in merges:
        word = merge(word, pair)
    return word


def decode(ids, merges):
    """Ids as a text; bytes that are no UTF-8 (a model may write some) become signs."""
    table = tokens(merges)
    wrong = [index for index in ids if not 0 <= index < len(table)]
    if wrong:
        raise ValueError(f"ids must be from 0 to {len(table) - 1}, got {wrong[0]}")
    return b"".join(table[index] for index in ids).decode("utf-8", errors="replace")


def train_tokenizer(text, vocab_size):
    """A byte-level tokenizer of the library tokenizers, learnt from a text.

    It learns the merges that `learn_merges` learns, and gives tokens the same ids.
    Keep it with `.save(path)`; use it with `.encode(text).ids` and `.decode(ids)`.

    Args:
        text:       str, to learn from
        vocab_size: int from 256 up, the bytes included

    Returns:
        tokenizers.Tokenizer
    """
    check_text(text)
    check_count("vocab_size", vocab_size, 256)
    tokenizers = _library()
    pieces = tokenizers.pre_tokenizers.Split(tokenizers.Regex(PIECES), "isolated")
    signs = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([pieces, signs])
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def load_tokenizer(path):
    """A tokenizer that was kept as JSON with `.save(path)`.

    Raises:
        ValueError if there is none at that path.
    """
    tokenizers = _library()
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more specific
        raise ValueError(f"{path} is no tokenizer in JSON: {error}") from error


def check_text(text):
    """Refuse what is no string."""
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, but it is a {type(text).__name__}")


def _library():
    """The library tokenizers, where it is installed."""
    try:
        import tokenizers
    except ImportError:
        raise ImportError(
            "a fast tokenizer needs the library tokenizers: pip install tokenizers"
        ) from None
    return tokenizers
