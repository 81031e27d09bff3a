"""The heatmap in a real browser, without a kernel."""

import itertools

import numpy as np
import pytest
from test_attention_heatmap import HEADS, LAYERS, small_sentences
from test_bottleneck_explorer_browser import contrast
from widget_page import model, mount

from course_lib.widgets import AttentionHeatmap
from course_lib.widgets.attention_heatmap import weights_of


@pytest.fixture
def widget():
    """The heatmap of made-up sentences, at layer 2, head 1, beside the twin."""
    return AttentionHeatmap(small_sentences("<b>end</b>"), layer=2, compare=True)


@pytest.fixture
def heatmap(new_page, widget):
    """The heatmap, alone on a page."""
    return mount(new_page(), widget)


def state(page):
    """Sentence, layer, head and word as the model has them."""
    names = ("sentence", "layer", "head", "word")
    return [model(page, f"model.get('{name}')") for name in names]


def strips(page):
    """The weights below the words, a list for each visible sentence."""
    texts = [
        strip.locator(".heatmap-weight").all_inner_texts()
        for strip in page.locator(".heatmap-strip:visible").all()
    ]
    return [[float(text) for text in strip] for strip in texts]


def row(widget, sentence, layer, head, word):
    """Weights that a word gives, in Python; sentence, layer and head count from 1."""
    weights = weights_of(widget.sentences[sentence - 1])
    return weights[layer - 1, head - 1, word].tolist()


def choose(page, label, option):
    """Pick from a list by keyboard."""
    box = page.get_by_role("combobox", name=label)
    box.focus()
    page.keyboard.press("Home")
    for _ in range(option - 1):
        page.keyboard.press("ArrowDown")


def test_every_weight_on_the_page_is_pythons(heatmap, widget):
    model(heatmap, "model.set('compare', false)")
    for layer, head in itertools.product(range(1, LAYERS + 1), range(1, HEADS + 1)):
        choose(heatmap, "Layer", layer)
        choose(heatmap, "Head", head)
        for sentence, each in enumerate(widget.sentences, start=1):
            choose(heatmap, "Sentence", sentence)
            assert state(heatmap) == [sentence, layer, head, each["focus"]]
            assert strips(heatmap) == [row(widget, *state(heatmap))]


def test_the_twin_stands_below_and_shows_its_own_weights(heatmap, widget):
    assert strips(heatmap) == [row(widget, 1, 2, 1, 3), row(widget, 2, 2, 1, 3)]
    heatmap.get_by_role("checkbox", name="compare with").focus()
    heatmap.keyboard.press("Space")
    assert strips(heatmap) == [row(widget, 1, 2, 1, 3)]
    assert heatmap.locator("svg:visible").count() == 1


def test_in_an_uneven_pair_the_twin_shows_the_same_word_or_says_it_has_none(
    heatmap, widget
):
    choose(heatmap, "Sentence", 3)  # "it" is its fifth word, and the twin's first
    assert strips(heatmap) == [row(widget, 3, 2, 1, 4), row(widget, 4, 2, 1, 0)]
    heatmap.get_by_role("radio", name="we, word 2").check()
    assert strips(heatmap) == [row(widget, 3, 2, 1, 1), [0, 0, 0]]
    said = heatmap.locator("[aria-live]").inner_text()
    assert said.endswith("In the sentence below: there is no such word.")
    assert heatmap.locator(".heatmap-word.heatmap-asks").count() == 1


def test_the_arrow_keys_choose_the_word_that_asks(heatmap, widget):
    heatmap.get_by_role("radio", name="it, word 4").focus()
    heatmap.keyboard.press("ArrowLeft")
    assert state(heatmap)[-1] == 2
    assert strips(heatmap)[0] == row(widget, 1, 2, 1, 2)
    heatmap.keyboard.press("ArrowRight")
    heatmap.keyboard.press("ArrowRight")
    assert strips(heatmap)[0] == row(widget, 1, 2, 1, 4)
    assert heatmap.locator("input:focus").is_checked()
    assert model(heatmap, "model.saved") == 3


def test_a_mouse_over_a_word_shows_where_it_looks_and_then_the_choice_is_back(
    heatmap, widget
):
    chosen, hovered = row(widget, 1, 2, 1, 3), row(widget, 1, 2, 1, 1)
    heatmap.locator("li label", has_text="one").hover()
    assert strips(heatmap)[0] == hovered and state(heatmap)[-1] == 3
    heatmap.get_by_role("combobox", name="Sentence").hover()
    assert strips(heatmap)[0] == chosen
    heatmap.locator("li label", has_text="one").click()
    heatmap.get_by_role("combobox", name="Sentence").hover()
    assert strips(heatmap)[0] == hovered and state(heatmap)[-1] == 1


def test_a_tap_chooses_a_word(new_page, widget):
    page = mount(new_page(width=390, has_touch=True, is_mobile=True), widget)
    page.locator("li label", has_text="two").tap()
    assert state(page)[-1] == 2
    assert strips(page)[0] == row(widget, 1, 2, 1, 2)


def test_the_sentence_names_the_words_that_get_most(heatmap, widget):
    said = heatmap.locator("[aria-live=polite]").inner_text()
    weights, tokens = row(widget, 1, 2, 1, 3), widget.sentences[0]["tokens"]
    order = sorted(range(5), key=lambda i: -weights[i])[:3]
    first = ", ".join(f"{tokens[i]} {weights[i]:.2f}" for i in order)
    start = f"Layer 2, head 1: \u201cit\u201d takes most from {first}."
    assert said.startswith(f"{start} In the sentence below: ")


def test_the_map_is_shaded_by_the_weights(heatmap, widget):
    shades = heatmap.locator("svg").first.locator("rect[fill-opacity]")
    found = shades.evaluate_all(
        "(all) => all.map((e) => +getComputedStyle(e).fillOpacity)"
    )
    weights = weights_of(widget.sentences[0])[1, 0]
    np.testing.assert_allclose(found, weights.ravel(), atol=1e-6)


def test_a_click_on_a_row_of_the_map_chooses_its_word(heatmap):
    heatmap.locator("svg").first.locator(".heatmap-row").nth(1).click()
    assert state(heatmap)[-1] == 1


def test_the_table_has_every_number_of_the_maps(heatmap, widget):
    heatmap.get_by_text("All weights of this head as a table").press("Enter")
    heatmap.get_by_role("table").nth(1).wait_for()  # filled once it has opened
    tables = heatmap.get_by_role("table").all()
    for table, sentence in zip(tables, widget.sentences[:2], strict=True):
        cells = [float(text) for text in table.get_by_role("cell").all_inner_texts()]
        expected = weights_of(sentence)[1, 0]
        assert np.reshape(cells, expected.shape).tolist() == expected.tolist()
        heads = table.get_by_role("rowheader").all_inner_texts()
        assert heads == sentence["tokens"]
        columns = table.get_by_role("columnheader").all_inner_texts()
        assert columns == ["asks", *sentence["tokens"]]
    choose(heatmap, "Layer", 3)  # an open table follows
    assert "Layer 3, head 1" in heatmap.get_by_role("table").first.inner_text()


def test_every_control_has_a_name_and_the_maps_have_texts(heatmap):
    session = heatmap.context.new_cdp_session(heatmap)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    named = {
        role: [n["name"]["value"] for n in nodes if n["role"]["value"] == role]
        for role in ("radio", "combobox", "checkbox", "image", "list", "group")
    }
    assert named["combobox"] == ["Sentence", "Layer", "Head"]
    assert named["radio"][3] == "it, word 4" and len(set(named["radio"])) == 5
    assert all(name.startswith("Heatmap of all weights in") for name in named["image"])
    assert len(named["image"]) == len(named["list"]) == 2
    assert [name for name in named["group"] if name] == ["Choose the word that asks"]


def test_a_token_is_text_and_never_markup(heatmap):
    assert heatmap.locator("main b").count() == 0
    assert heatmap.get_by_role("radio", name="<b>end</b>, word 5").count() == 1


def test_a_change_from_the_kernel_shows(heatmap, widget):
    model(heatmap, "model.set('sentence', 4)")  # the word of before is not there
    assert strips(heatmap)[0] == row(widget, 4, 2, 1, 0)
    model(heatmap, "model.set('layer', 3)")
    assert strips(heatmap)[0] == row(widget, 4, 3, 1, 0)
    assert heatmap.get_by_role("combobox", name="Layer").input_value() == "3"


def test_a_removed_view_no_longer_listens(heatmap):
    assert model(heatmap, "mounted[0].listeners.length") == 5
    model(heatmap, "mounted[0].cleanUp()")
    assert model(heatmap, "mounted[0].listeners.length") == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_every_word_of_a_map_is_inside_the_card(new_page, width):
    page = mount(new_page(width=width), AttentionHeatmap.of_minilm())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    card = page.locator(".heatmap").bounding_box()
    for text in page.locator(".heatmap svg text").all():
        box = text.bounding_box()
        assert card["x"] <= box["x"]
        assert box["x"] + box["width"] <= card["x"] + card["width"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_can_be_read_at_every_weight(heatmap, theme):
    heatmap.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    pairs = heatmap.locator(".heatmap-strip li").first.evaluate(
        """(item) => [0, 0.25, 0.5, 0.75, 1].map((weight) => {
            item.style.setProperty("--weight", weight);
            const style = getComputedStyle(item.querySelector(".heatmap-word"));
            const context = document.createElement("canvas").getContext("2d");
            return [style.color, style.backgroundColor].map((colour) => {
                context.fillStyle = colour;
                context.fillRect(0, 0, 1, 1);
                const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
                return `rgb(${r}, ${g}, ${b})`;
            });
        })"""
    )
    ratios = [contrast(*pair) for pair in pairs]
    assert min(ratios) >= 4.5
    assert ratios == sorted(ratios, reverse=True)  # the more weight, the more colour


def test_a_link_into_the_first_page_shows_another_head(book_address, new_page):
    page = new_page()
    page.goto(f"{book_address}/index.html?heatmap.sentence=4&heatmap.word=7")
    page.locator(".course-live").wait_for()
    strip = page.locator(".heatmap .heatmap-strip").first
    assert strip.get_attribute("aria-label").endswith("it was rolling.\u201d")
    shown = [float(x) for x in strip.locator(".heatmap-weight").all_inner_texts()]
    expected = weights_of(AttentionHeatmap.of_minilm().sentences[3])[3, 1, 7]
    assert shown == expected.round(2).tolist()
