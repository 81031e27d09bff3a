"""Sign reports, and tell a report that was altered from one that was not.

All keys come from the one secret seed of a batch, each for its own use, by HMAC-SHA256
(RFC 2104). Who knows the seed can sign, and can make every student's inputs: keep it as
secret as the points are dear. A small seed can be guessed from its own `seed_id`, so a
seed of record has 128 random bits or more.
"""

import hashlib
import hmac
import json

INPUT_BITS = 128


def seed_id(seed):
    """16 hex digits that name a seed without giving it away."""
    return _digest(seed, "name of the seed", b"")[:16]


def input_seed(seed, student, student_id):
    """The int that decides one student's inputs.

    Args:
        seed: int, the secret one
        student, student_id: str, any text
    """
    who = json.dumps([student, student_id]).encode()
    return int(_digest(seed, "inputs of a student", who)[: INPUT_BITS // 4], 16)


def sign(report, seed):
    """The report with "signature" as its last key.

    Args:
        report: dict of what JSON can hold; a signature that it has is replaced
        seed: int, the secret one

    Returns:
        A new dict.
    """
    unsigned = {key: report[key] for key in report if key != "signature"}
    return unsigned | {"signature": _signature(unsigned, seed)}


def is_signed(report, seed):
    """Whether a report's signature is that of all the rest of it and of this seed."""
    unsigned = {key: report[key] for key in report if key != "signature"}
    claimed = report.get("signature")
    if not isinstance(claimed, str) or not claimed.isascii():
        return False
    try:
        return hmac.compare_digest(claimed, _signature(unsigned, seed))
    except (ValueError, RecursionError):  # it holds what no report does: a nan, say
        return False


def _signature(unsigned, seed):
    return _digest(seed, "signature of a report", canonical(unsigned))


def canonical(content):
    """The one way to write `content` as JSON: sorted keys, no spaces, ASCII bytes."""
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode("ascii")


def _digest(seed, purpose, message):
    """Hex HMAC of a message, under a key that is only for this purpose."""
    key = hmac.digest(str(seed).encode(), purpose.encode(), hashlib.sha256)
    return hmac.new(key, message, hashlib.sha256).hexdigest()
