"""Dates in many languages: what is written tells the date, and nothing else decides."""

from datetime import date, timedelta

import numpy as np
import pytest

from course_lib.data.dates import (
    FORMS,
    ISO,
    LOCALES,
    date_vocabulary,
    dates,
    is_clear,
    written_date,
)
from course_lib.data.vocabulary import END, PAD

DAY = date(2005, 4, 3)
CLEAR = [(locale, form) for locale in LOCALES for form in FORMS
         if is_clear(locale, form)]  # fmt: skip


def decoded(pairs, locales=LOCALES):
    """Sources and targets of `Pairs` as strings."""
    known = date_vocabulary(locales)
    return [
        ("".join(known.decode(source)), "".join(ISO.decode(target)))
        for source, target in zip(pairs.source, pairs.target, strict=True)
    ]


@pytest.mark.parametrize(
    "locale, form, expected",
    [
        ("en_US", "full", "Sunday, April 3, 2005"),
        ("de", "full", "Sonntag, 3. April 2005"),
        ("de", "medium", "03.04.2005"),
        ("fr", "long", "3 avril 2005"),
        ("es", "long", "3 de abril de 2005"),
        ("sv", "short", "2005-04-03"),
        ("ja", "full", "2005年4月3日日曜日"),
        ("ru", "long", "3 апреля 2005 г."),  # the space of CLDR is a narrow one
    ],
)
def test_written_dates_by_hand(locale, form, expected):
    assert written_date(DAY, locale, form) == expected


@pytest.mark.parametrize(
    "locale, form, clear",
    [
        ("en_US", "short", False),  # 4/3/05
        ("en_GB", "short", False),  # 03/04/2005: April or March?
        ("nl", "short", False),  # 03-04-2005
        ("ko", "short", False),  # 05. 4. 3.
        ("de", "short", False),  # 03.04.05
        ("de", "medium", True),  # 03.04.2005
        ("hu", "short", True),  # 2005. 04. 03.
        ("en_US", "medium", True),  # Apr 3, 2005
    ],
)
def test_forms_that_may_mean_several_dates_are_left_out(locale, form, clear):
    assert is_clear(locale, form) is clear


def test_what_is_written_means_one_date_in_whatever_locale():
    days = [date(2003, 1, 1) + timedelta(n) for n in range(365)]
    days += [date(2031, 2, 3), date(1903, 4, 5), date(2004, 2, 29)]
    meaning = {}
    for locale, form in CLEAR:
        for day in days:
            assert meaning.setdefault(written_date(day, locale, form), day) == day


def test_the_whole_year_is_in_every_clear_form():
    assert all("2005" in written_date(DAY, locale, form) for locale, form in CLEAR)


def test_there_are_fifteen_locales_and_more_and_each_form_is_clear_in_many():
    assert len(set(LOCALES)) == len(LOCALES) >= 15
    for form in FORMS[1:]:
        assert {locale for locale, clear in CLEAR if clear == form} == set(LOCALES)
    assert len({locale for locale, clear in CLEAR if clear == "short"}) >= 5


def test_the_vocabulary_has_every_character():
    known = date_vocabulary()
    for n in range(0, 200 * 365, 173):
        for locale in LOCALES:
            for form in FORMS:
                text = written_date(date(1900, 1, 1) + timedelta(n), locale, form)
                known.encode(text)
    assert len(known) < 200


def test_the_target_is_the_date_in_iso():
    pairs = dates(300, [1, 2, 3, 4], "train", np.random.default_rng(0))
    for (source, target), length in zip(decoded(pairs), pairs.length, strict=True):
        day = date.fromisoformat(target)
        form = FORMS[length - 1]
        assert source in {written_date(day, locale, form) for locale in LOCALES}
        assert 1900 <= day.year < 2100 and len(target) == 10
        assert str(day.year) in source and str(day.day) in source
    assert (pairs.target[:, 10] == END).all() and pairs.target.shape[1] == 11
    assert set(pairs.length) == {1, 2, 3, 4}


def test_each_locale_with_a_clear_form_is_as_likely_as_the_others():
    rng = np.random.default_rng(1)
    pairs = dates(900, [3], "train", rng, ("de", "ja", "en_US"))
    texts = [source for source, _ in decoded(pairs, ("de", "ja", "en_US"))]
    assert abs(sum("年" in text for text in texts) - 300) < 60
    assert abs(sum("." in text for text in texts) - 300) < 60


def test_no_date_is_in_both_splits_whatever_the_locale_and_form():
    seen = [
        {
            target
            for _, target in decoded(
                dates(3000, forms, split, np.random.default_rng(2))
            )
        }
        for split, forms in (("train", [1, 4]), ("test", [2, 3]))
    ]
    assert seen[0] and seen[1] and not seen[0] & seen[1]


def test_a_seed_gives_the_same_dates_on_every_machine():
    pairs = dates(4, [1, 2, 3, 4], "test", np.random.default_rng(5))
    assert decoded(pairs) == [
        ("9. oktober 1993", "1993-10-09"),
        ("19 Mart 1926 Cuma", "1926-03-19"),
        ("26.11.1946", "1946-11-26"),
        ("9 Ağustos 2025 Cumartesi", "2025-08-09"),
    ]


def test_padding_stands_behind():
    pairs = dates(50, [1, 2, 3, 4], "train", np.random.default_rng(3))
    for row in pairs.source:
        assert (row[np.argmax(row == PAD) :] == PAD).all() or PAD not in row


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: dates(1, [0], "train", RNG),
         "lengths must be from 1 (short) to 4 (full), got [0]"),
        (lambda: dates(1, [5], "train", RNG),
         "lengths must be from 1 (short) to 4 (full), got [5]"),
        (lambda: dates(1, [], "train", RNG),
         "lengths must be whole numbers from 1 up, got []"),
        (lambda: dates(1, [2], "dev", RNG),
         "split must be 'train' or 'test', got 'dev'"),
        (lambda: dates(1, [1], "train", RNG, ("en_US", "de")),
         "locales must have a short form that tells the date, got ('en_US', 'de')"),
        (lambda: dates(1, [2], "train", RNG, ("xx",)),
         "locale must be one that babel knows, such as 'en_US', got 'xx'"),
        (lambda: dates(1, [2], "train", RNG, ()),
         "locales must have a medium form that tells the date, got ()"),
        (lambda: written_date(DAY, 3, "long"),
         "locale must be one that babel knows, such as 'en_US', got 3"),
        (lambda: written_date(DAY, "de", "tiny"),
         "form must be one of 'short', 'medium', 'long', 'full', got 'tiny'"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_sentence(call, sentence):
    with pytest.raises(ValueError) as raised:
        call()
    assert str(raised.value) == sentence
