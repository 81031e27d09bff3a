"""Signatures of reports: right ones hold, altered ones do not."""

import copy
import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.grading.signing import (
    canonical,
    input_seed,
    is_signed,
    seed_id,
    sign,
)

SEED = 2**127 + 11
REPORT = {
    "schema": 1,
    "points": 2,
    "of_record": True,
    "questions": [{"id": "2.1", "points": 2, "message": "é \ud800 <script>"}],
    "student": "Ana",
}


def test_a_signed_report_survives_json_and_another_order_of_keys():
    signed = sign(REPORT, SEED)
    assert list(signed) == [*REPORT, "signature"] and len(signed["signature"]) == 64
    again = json.loads(json.dumps(dict(reversed(signed.items())), indent=2))
    assert is_signed(signed, SEED) and is_signed(again, SEED)
    assert sign(signed, SEED) == signed and "signature" not in REPORT


def test_another_seed_did_not_sign_it():
    assert not is_signed(sign(REPORT, SEED), SEED + 1)


ALTERED = {
    "points": lambda report: report.update(points=16),
    "a question's points": lambda report: report["questions"][0].update(points=3),
    "text": lambda report: report.update(student="Ann"),
    "true for 1": lambda report: report.update(schema=True),
    "float for int": lambda report: report.update(points=2.0),
    "a nan": lambda report: report.update(points=float("nan")),
    "a key more": lambda report: report.update(bonus=0),
    "a key less": lambda report: report.pop("student"),
    "a question twice": lambda report: report["questions"].append(
        report["questions"][0]
    ),
    "no signature": lambda report: report.pop("signature"),
    "a signature that is no text": lambda report: report.update(signature=3),
    "a signature beyond ASCII": lambda report: report.update(signature="é" * 64),
    "one digit": lambda report: report.update(
        signature=f"{int(report['signature'], 16) ^ 1:064x}"
    ),
}


@pytest.mark.parametrize("change", ALTERED.values(), ids=ALTERED)
def test_an_altered_report_is_told(change):
    report = copy.deepcopy(sign(REPORT, SEED))
    assert is_signed(report, SEED)
    change(report)
    assert not is_signed(report, SEED)


def test_the_signature_is_the_one_that_the_docstring_describes():
    text = '{"a":"\\u00e9","b":1}'
    key = hmac.digest(b"7", b"signature of a report", hashlib.sha256)
    expected = hmac.digest(key, text.encode(), hashlib.sha256).hex()
    assert canonical({"b": 1, "a": "é"}) == text.encode()
    assert sign({"b": 1, "a": "é"}, 7)["signature"] == expected


def test_inputs_and_names_of_seeds_stay_what_they_are():
    # Reports of earlier years must still verify, and give the same inputs.
    assert seed_id(7) == "01236295d8a98c7c"
    assert input_seed(7, "Ana", "1") == 50978744443029839272142212512515168337


@settings(deadline=None)
@given(st.text(), st.text(), st.text(), st.text())
def test_two_students_never_share_their_inputs(name, number, other_name, other_number):
    one = input_seed(SEED, name, number)
    other = input_seed(SEED, other_name, other_number)
    assert (one == other) == ((name, number) == (other_name, other_number))
    assert 0 <= one < 2**128


def test_the_seed_decides_inputs_and_name_and_is_not_in_its_name():
    assert input_seed(SEED, "Ana", "") != input_seed(SEED + 1, "Ana", "")
    assert seed_id(SEED) != seed_id(SEED + 1) and len(seed_id(SEED)) == 16
    assert f"{SEED:x}"[:16] != seed_id(SEED)
