"""Pictures of two shapes: what is drawn is what the checker reads."""

from zlib import crc32

import numpy as np
import pytest

from course_lib.data.shapes_and_captions import (
    COLOURS,
    RELATIONS,
    SHAPES,
    WORDS,
    captioned_shapes,
    captions,
    check_picture,
    draw_caption,
    find_object,
    nearest_colour,
)

RIGHT = {"first": True, "second": True, "relation": True}
WORDS_OF_ONE = ["red", "circle", "above", "blue", "square"]


def drawn(n=200, split="train", seed=0, **settings):
    return captioned_shapes(n, split, np.random.default_rng(seed), **settings)


@pytest.mark.parametrize("relation", RELATIONS)
def test_the_checker_finds_in_every_drawn_picture_what_its_caption_says(relation):
    shown = drawn(relations=(relation,))
    for image, ids in zip(shown.image, shown.caption, strict=True):
        words = WORDS.decode(ids)
        assert words[2] == relation
        assert check_picture(image, words) == RIGHT


def test_the_checker_still_reads_a_picture_with_noise_on_it():
    shown, rng = drawn(), np.random.default_rng(1)
    noisy = shown.image + rng.normal(0, 0.3, shown.image.shape)
    for image, ids in zip(noisy, shown.caption, strict=True):
        assert check_picture(image, WORDS.decode(ids)) == RIGHT


@pytest.mark.parametrize(
    ("place", "word", "wrong"),
    [
        (0, "green", {"first", "relation"}),
        (1, "triangle", {"first", "relation"}),
        (2, "below", {"relation"}),
        (2, "left-of", {"relation"}),
        (3, "green", {"second", "relation"}),
        (4, "cross", {"second", "relation"}),
    ],
)
def test_one_wrong_word_is_found(place, word, wrong):
    image = draw_caption(WORDS_OF_ONE, np.random.default_rng(0))
    words = [*WORDS_OF_ONE[:place], word, *WORDS_OF_ONE[place + 1 :]]
    points = check_picture(image, words)
    assert {name for name, right in points.items() if not right} == wrong


@pytest.mark.parametrize("relation", RELATIONS)
def test_objects_lie_as_their_relation_says(relation):
    rng = np.random.default_rng(0)
    for _ in range(20):
        image = draw_caption(["red", "cross", relation, "blue", "circle"], rng)
        _, (down, right) = find_object(image, "red")
        _, (other_down, other_right) = find_object(image, "blue")
        assert {
            "above": down < other_down,
            "below": down > other_down,
            "left-of": right < other_right,
            "right-of": right > other_right,
        }[relation]


@pytest.mark.parametrize("image", [np.zeros((16, 16, 3)), -np.ones((16, 16, 3))])
def test_nothing_is_found_in_an_empty_picture(image):
    expected = dict.fromkeys(RIGHT, False)
    assert check_picture(image, WORDS_OF_ONE) == expected


def test_a_canvas_painted_all_over_is_no_square():
    image = np.broadcast_to(COLOURS["red"], (16, 16, 3))
    assert find_object(image, "red") is None


def test_half_an_object_is_none():
    image = draw_caption(WORDS_OF_ONE, np.random.default_rng(0))
    (down, right) = find_object(image, "blue")[1].astype(int)
    image[down - 2 : down + 4, right - 2 : right + 1] = -1  # its left half
    assert not check_picture(image, WORDS_OF_ONE)["second"]


def test_colours_by_hand():
    pixels = [[-1, -1, -1], [0.9, -0.8, -1], [0.6, 0.7, -0.2], [-0.1, -0.9, 3]]
    assert nearest_colour(np.array(pixels)).tolist() == [0, 1, 4, 3]


def test_the_splits_share_no_caption_and_leave_none_out():
    train, test = (
        {tuple(words) for words in captions(split)} for split in ("train", "test")
    )
    n = len(COLOURS) * (len(COLOURS) - 1) * len(SHAPES) ** 2 * len(RELATIONS)
    assert not train & test and len(train) + len(test) == n == 768
    assert 0.15 < len(test) / n < 0.25
    for split, known in (("train", train), ("test", test)):
        assert {tuple(WORDS.decode(ids)) for ids in drawn(split=split).caption} <= known


def test_every_word_is_in_a_caption_of_both_splits():
    for split in ("train", "test"):
        words = set().union(*captions(split))
        assert words == {*COLOURS, *SHAPES, *RELATIONS}


def test_arrays_have_the_shapes_and_types_that_are_promised():
    shown = drawn(7)
    assert shown.image.shape == (7, 16, 16, 3) and shown.image.dtype == np.float32
    assert shown.caption.shape == (7, 5) and shown.caption.dtype.kind == "i"
    assert set(np.unique(shown.image)) == {-1, 1}
    empty = drawn(0)
    assert empty.image.shape == (0, 16, 16, 3) and empty.caption.shape == (0, 5)


def test_the_same_seed_draws_the_same_pictures_on_every_machine():
    shown = drawn(13, seed=7)
    assert crc32(shown.caption.astype("<i8").tobytes()) == 3370944629
    assert crc32(shown.image.astype("<f4").tobytes()) == 3816897242
    assert not np.array_equal(drawn(13, seed=8).image, shown.image)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((-1, "train"), "n must be a whole number from 0 up, got -1"),
        ((1, "dev"), "split must be one of 'train', 'test', got 'dev'"),
        (
            (1, "train", ("beside",)),
            "relations must be one of 'above', 'below', 'left-of', 'right-of', got "
            "'beside'",
        ),
        ((1, "train", ()), "relations must name at least one relation"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(arguments, sentence):
    n, split, *relations = arguments
    with pytest.raises(ValueError) as error:
        captioned_shapes(n, split, np.random.default_rng(0), *relations)
    assert str(error.value) == sentence
