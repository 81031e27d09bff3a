"""Dates as people write them in many languages, and the same dates as ISO 8601.

"Sonntag, 3. April 2005" becomes "2005-04-03", character by character. The written forms
are those of Unicode's CLDR, which comes with babel. Forms that may mean several dates,
such as 3/4/05, are left out.
"""

import re
from datetime import date
from functools import lru_cache

from babel import Locale
from babel.core import UnknownLocaleError
from babel.dates import format_date

from course_lib.data.splits import sample_sequences
from course_lib.data.vocabulary import Vocabulary, make_pairs
from course_lib.shapes.basic import check_choice

LOCALES = tuple(
    "en_US en_GB de fr es it nl pt_BR sv da fi pl cs tr hu ru el ja ko zh".split()
)
FORMS = ("short", "medium", "long", "full")
ISO = Vocabulary("0123456789-")
_FIRST, _LAST = date(1900, 1, 1), date(2099, 12, 31)


def written_date(day, locale, form):
    """A date as people write it: characters, all spaces made the same one.

    Args:
        day:    datetime.date
        locale: a locale of babel, such as "en_US"
        form:   "short", "medium", "long" or "full"
    """
    check_choice("form", form, FORMS)
    text = format_date(day, form, locale=_locale(locale))
    return re.sub(r"\s", " ", text)


@lru_cache
def is_clear(locale, form):
    """Whether a written form tells the date to a reader who does not know the locale.

    It needs the whole year. A month in figures may be taken for the day, unless the
    year is in front, or dots are between: then all locales agree on the order.
    """
    check_choice("form", form, FORMS)
    pattern = _locale(locale).date_formats[form].pattern
    if re.search("(?<!y)yy(?!y)", pattern):
        return False
    clear = re.compile(r"y|d+\. ?M+\.|.*MMM")
    return bool(clear.match(pattern))


def dates(n, lengths, split, rng, locales=LOCALES):
    """Random dates of the years 1900 to 2099, as written in random locales, and in ISO.

    Args:
        n:       int, how many
        lengths: the forms, from 1 (short) to 4 (full); each is equally likely
        split:   "train" or "test"; no date is in both, in whatever locale and form
        rng:     np.random.Generator
        locales: locales of babel; each that has a clear form is equally likely

    Returns:
        `Pairs` of n rows, encoded with `date_vocabulary(locales)` and `ISO`; length is
        the form.
    """
    if not set(lengths) <= {1, 2, 3, 4}:
        raise ValueError(f"lengths must be from 1 (short) to 4 (full), got {lengths!r}")
    locales_of = {length: _clear_locales(locales, length) for length in set(lengths)}

    def draw(_, rng):
        return rng.integers(_FIRST.toordinal(), _LAST.toordinal() + 1, 1)

    ordinals, chosen = sample_sequences(n, lengths, draw, split, rng)
    days = [date.fromordinal(int(ordinal)) for (ordinal,) in ordinals]
    sources = [
        written_date(day, str(rng.choice(locales_of[length])), FORMS[length - 1])
        for day, length in zip(days, chosen.tolist(), strict=True)
    ]
    targets = [day.isoformat() for day in days]
    return make_pairs(sources, targets, chosen, date_vocabulary(tuple(locales)), ISO)


@lru_cache
def date_vocabulary(locales=LOCALES):
    """Every character that dates in these locales can need."""
    # Each year the first days of its months are of all weekdays.
    days = [date(2003, month, 1) for month in range(1, 13)]
    texts = [
        written_date(day, locale, form)
        for locale in locales
        for form in FORMS
        for day in days
    ]
    return Vocabulary("0123456789" + "".join(texts))


def _clear_locales(locales, length):
    form = FORMS[length - 1]
    clear = [locale for locale in locales if is_clear(locale, form)]
    if not clear:
        raise ValueError(
            f"locales must have a {form} form that tells the date, got {locales!r}"
        )
    return clear


@lru_cache
def _locale(name):
    try:
        return Locale.parse(name)
    except (UnknownLocaleError, ValueError, TypeError):
        raise ValueError(
            f"locale must be one that babel knows, such as 'en_US', got {name!r}"
        ) from None
