"""Widgets in a real browser, without a kernel: a small model replaces Jupyter's."""

import numpy as np
import pytest
from test_widgets import WIDGETS
from widget_page import model, mount

from course_lib.in_numpy.attention import attend, scaled_dot_product_attention
from course_lib.in_numpy.ops import masked_softmax, softmax
from course_lib.widgets import QKVCalculator

LABELS = ["What", "is", "capital", "France", "<b>?</b>"]
EDITABLE = ["query", "key", "value", "mask", "temperature", "scale"]


@pytest.fixture
def widget():
    """A calculator with d_k = 3, n_k = 5, d_v = 2."""
    rng = np.random.default_rng(1)
    key, value = (
        rng.uniform(-2, 2, (5, 3)).round(1),
        rng.uniform(-2, 2, (5, 2)).round(1),
    )
    return QKVCalculator([1, -0.5, 2], key, value, LABELS)


@pytest.fixture
def calculator(new_page, widget):
    """The calculator, alone on a page."""
    return mount(new_page(), widget)


def numbers(text):
    """The numbers in a text of the widget; "<0.01" reads as 0."""
    text = text.replace("\u2212", "-").replace("<0.01", "0").strip("()")
    return [float(part) for part in text.split(",")]


def shown(page):
    """Scores, weights and output as the page shows them, to two decimals."""
    scores = [numbers(t)[0] for t in page.locator("td.qkv-score").all_inner_texts()]
    weights = [numbers(t)[0] for t in page.locator(".qkv-share").all_inner_texts()]
    return scores, weights, numbers(page.locator(".qkv-sum strong").inner_text())


def assert_shows_numpy(page):
    """What is shown is what NumPy makes of the model's state."""
    state = {name: model(page, f"model.get('{name}')") for name in EDITABLE}
    for on_page, expected in zip(
        shown(page), QKVCalculator(**state).result(), strict=True
    ):
        np.testing.assert_allclose(on_page, expected, rtol=0, atol=0.0051)


def replace_number(page, label, text):
    """Type a number over another one, by keyboard."""
    page.get_by_label(label, exact=True).focus()
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def says(page, text):
    """Wait until the live line holds a text."""
    page.locator(".qkv-live", has_text=text).wait_for()


@pytest.fixture(scope="module")
def maths(browser):
    """A page that has nothing but the shared maths."""
    page = browser.new_page()
    page.add_script_tag(content=(WIDGETS / "attention_math.js").read_text())
    yield page
    page.close()


@pytest.mark.parametrize("offset", [0, 1000, -1000])
def test_page_softmax_is_numpys(maths, offset):
    rng = np.random.default_rng(2)
    scores = rng.normal(size=7) * 5 + offset
    mask = np.array([True, False, True, True, False, True, False])
    call = "([scores, mask]) => [softmax(scores), maskedSoftmax(scores, mask)]"
    weights, masked = maths.evaluate(call, [scores.tolist(), mask.tolist()])
    np.testing.assert_allclose(weights, softmax(scores), rtol=0, atol=1e-12)
    np.testing.assert_allclose(masked, masked_softmax(scores, mask), rtol=0, atol=1e-12)


@pytest.mark.parametrize("offset", [0, 1000])
def test_page_attend_is_numpys_with_a_row_that_sees_nothing(maths, offset):
    rng = np.random.default_rng(3)
    scores, value = rng.normal(size=(3, 5)) + offset, rng.normal(size=(5, 2))
    mask = rng.random((3, 5)) < 0.5
    mask[1] = False
    call = "(inputs) => attend(...inputs)"
    for chosen in (mask, None):
        inputs = [scores.tolist(), value.tolist()]
        got = maths.evaluate(call, inputs + ([] if chosen is None else [mask.tolist()]))
        output, weights = attend(scores, value, chosen)
        np.testing.assert_allclose(got["weights"], weights, rtol=0, atol=1e-12)
        np.testing.assert_allclose(got["output"], output, rtol=0, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 3.0, 10.0])
def test_page_attention_is_numpys_at_every_temperature(maths, temperature):
    rng = np.random.default_rng(4)
    query, key = rng.normal(size=(3, 7)), rng.normal(size=(5, 7))
    value, mask = rng.normal(size=(5, 2)), rng.random((3, 5)) < 0.6
    arrays = {"query": query, "key": key, "value": value, "mask": mask}
    inputs = {name: array.tolist() for name, array in arrays.items()}
    got = maths.evaluate(
        "(inputs) => attention(inputs)",
        inputs | {"temperature": temperature, "scale": True},
    )
    output, weights = scaled_dot_product_attention(**arrays, temperature=temperature)
    np.testing.assert_allclose(
        got["scores"], query @ key.T / np.sqrt(7), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(got["weights"], weights, rtol=0, atol=1e-12)
    np.testing.assert_allclose(got["output"], output, rtol=0, atol=1e-12)


def test_the_page_shows_numpys_numbers_from_the_start(calculator):
    assert_shows_numpy(calculator)
    assert calculator.locator(".qkv-live").inner_text() != ""


@pytest.mark.parametrize(
    "label",
    ["query, number 3", "key of capital, number 2", "value of France, number 1"],
)
def test_a_typed_number_changes_all_that_follows(calculator, label):
    before = shown(calculator)
    replace_number(calculator, label, "-3.7")
    assert shown(calculator) != before
    assert_shows_numpy(calculator)
    assert model(calculator, "model.saved") > 0


def test_arrow_keys_step_a_number_by_a_tenth(calculator):
    calculator.get_by_label("query, number 1").focus()
    calculator.keyboard.press("ArrowUp")
    assert model(calculator, "model.get('query')") == [1.1, -0.5, 2]
    assert_shows_numpy(calculator)


def test_temperature_follows_the_arrow_keys_and_reaches_both_ends(calculator):
    slider = calculator.get_by_role("slider", name="Temperature T")
    slider.focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "Home", "End"):
        calculator.keyboard.press(key)
        seen.append(model(calculator, "model.get('temperature')"))
        assert_shows_numpy(calculator)
        assert slider.get_attribute("aria-valuetext") == f"{seen[-1]:g}"
    assert 1 < seen[0] < seen[1] > seen[2] == seen[0]
    assert seen[3:] == [0.05, 20]


def test_dividing_by_the_root_of_d_k_works_by_keyboard(calculator):
    before = shown(calculator)
    calculator.get_by_role("checkbox", name="divide by").focus()
    calculator.keyboard.press("Space")
    assert model(calculator, "model.get('scale')") is True
    assert shown(calculator) != before
    assert_shows_numpy(calculator)


def test_the_mask_works_by_keyboard_and_nothing_allowed_gives_zeros(calculator):
    for label in LABELS:
        calculator.get_by_role("checkbox", name=f"may attend to {label}").focus()
        calculator.keyboard.press("Space")
        assert_shows_numpy(calculator)
    _, weights, output = shown(calculator)
    assert weights == [0] * 5 and output == [0, 0]
    says(calculator, "No key may be attended to: every weight is 0")


def test_reset_restores_the_start(calculator):
    before = shown(calculator)
    replace_number(calculator, "query, number 1", "9")
    calculator.get_by_label("key of is, number 1").fill("")
    assert calculator.locator("[aria-invalid=true]").count() == 1
    calculator.get_by_role("checkbox", name="may attend to France").uncheck()
    calculator.get_by_role("slider").press("End")
    assert shown(calculator) != before
    calculator.get_by_role("button", name="Reset").press("Enter")
    assert shown(calculator) == before
    assert calculator.get_by_label("query, number 1").input_value() == "1"
    assert calculator.locator("[aria-invalid=true]").count() == 0
    start = model(calculator, "model.get('start')")
    assert {name: model(calculator, f"model.get('{name}')") for name in start} == start


@pytest.mark.parametrize("pasted", ["", "-", "1e9"])
def test_what_is_no_number_is_marked_and_the_last_good_one_stays(calculator, pasted):
    before = shown(calculator)
    field = calculator.get_by_label("query, number 2")
    field.press("Control+a")
    field.press("Delete")
    calculator.keyboard.insert_text(pasted)
    assert field.get_attribute("aria-invalid") == "true"
    says(calculator, "The query, number 2, must be a number: still using \u22120.5.")
    assert shown(calculator) == before
    replace_number(calculator, "query, number 2", "4")
    assert field.get_attribute("aria-invalid") == "false"
    assert_shows_numpy(calculator)


def test_a_change_from_the_kernel_shows_and_keeps_the_focus(calculator):
    replace_number(calculator, "query, number 1", "1.")
    model(calculator, "model.set('query', [1, 6, 7])")
    model(calculator, "model.set('temperature', 2.5)")
    focused = calculator.locator("input:focus")
    assert focused.get_attribute("aria-label") == "query, number 1"
    assert calculator.get_by_label("query, number 3").input_value() == "7"
    assert_shows_numpy(calculator)
    calculator.keyboard.type("5")
    assert model(calculator, "model.get('query')[0]") == 1.5


def test_the_outcome_is_announced_once_the_reader_rests(calculator):
    line = calculator.locator(".qkv-live[aria-live=polite]")
    before = line.inner_text()
    replace_number(calculator, "key of France, number 3", "99")
    assert line.inner_text() == before
    says(calculator, "France gets 1.00 of the weight; the output is")


def test_every_control_has_its_own_name(calculator):
    session = calculator.context.new_cdp_session(calculator)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"spinbutton", "slider", "checkbox", "button"}
    controls = [node for node in nodes if node["role"]["value"] in roles]
    names = [node["name"]["value"] for node in controls]
    assert len(names) == 3 + 5 * 3 + 5 * 2 + 5 + 3
    assert all(names) and len(set(names)) == len(names)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_table_stays_a_table_at_every_width(new_page, widget, width):
    page = mount(new_page(width=width), widget)
    table = page.get_by_role("table", name="Change any number")
    assert table.get_by_role("row").count() >= 1 + 1 + 5
    assert table.get_by_role("rowheader", name="France").count() == 1
    for step in ("1 Scores", "2 Weights", "3 Output"):
        assert table.get_by_role("columnheader", name=step).is_visible()


def test_a_label_is_text_and_never_markup(calculator):
    assert calculator.locator("main b").count() == 0
    assert calculator.get_by_role("rowheader", name="<b>?</b>").is_visible()


def test_two_calculators_on_one_page_are_independent(calculator, widget):
    mount(calculator, widget)
    second = calculator.locator(".qkv").nth(1)
    before = second.inner_text()
    calculator.get_by_label("query, number 1").first.fill("9")
    assert calculator.locator(".qkv").first.inner_text() != before
    assert second.inner_text() == before
    assert calculator.locator(".qkv [id]").count() == 0


def test_a_removed_view_no_longer_listens(calculator):
    assert model(calculator, "mounted[0].listeners.length") == len(EDITABLE)
    model(calculator, "mounted[0].cleanUp()")
    assert model(calculator, "mounted[0].listeners.length") == 0


def test_a_phone_needs_no_sideways_scroll_and_has_targets_for_fingers(new_page, widget):
    page = mount(new_page(width=390), widget)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    overflow = "(e) => e.scrollWidth - e.clientWidth"
    assert page.locator(".qkv-scroll").evaluate(overflow) <= 0
    sizes = page.locator(".qkv input, .qkv button").evaluate_all(
        "(all) => all.map((e) => [e.offsetWidth, e.offsetHeight])"
    )
    assert np.min(sizes) >= 24


def test_nothing_moves_by_itself_for_who_prefers_reduced_motion(calculator):
    longest = "(all) => Math.max(...all.flatMap((e) => { const s = getComputedStyle(e);"
    longest += "return [s.transitionDuration, s.animationDuration].map(parseFloat); }))"
    everything = calculator.locator(".qkv, .qkv *")
    calculator.emulate_media(reduced_motion="no-preference")
    assert everything.evaluate_all(longest) > 0
    calculator.emulate_media(reduced_motion="reduce")
    assert everything.evaluate_all(longest) == 0


@pytest.mark.parametrize("width", [2, 3])
def test_the_picture_is_drawn_for_values_of_two_numbers_only(new_page, width):
    rng = np.random.default_rng(5)
    value = rng.normal(size=(7, width))
    page = mount(new_page(), QKVCalculator([1], np.ones((7, 1)), value))
    assert page.locator(".qkv svg").count() == (width == 2)


def test_the_output_is_drawn_inside_the_hull(calculator):
    inside = """() => {
      const [polygon, mark] = [".qkv polygon", ".qkv-mark"].map((s) =>
        document.querySelector(s));
      const box = mark.getBBox();
      const point = mark.ownerSVGElement.createSVGPoint();
      [point.x, point.y] = [box.x + box.width / 2, box.y + box.height / 2];
      return polygon.isPointInFill(point);
    }"""
    for third in ("-9", "0", "9"):
        calculator.get_by_label("query, number 3").fill(third)
        assert calculator.evaluate(inside)
