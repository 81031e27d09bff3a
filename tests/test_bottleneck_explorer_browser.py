"""Chapter 1's explorer in a real browser, without a kernel."""

import numpy as np
import pytest
from test_bottleneck_explorer import made_up_results, run
from widget_page import model, mount

from course_lib.widgets import BottleneckExplorer

CHOICES = ("task", "hidden", "budget")


@pytest.fixture
def widget():
    """The explorer over made-up results, on digits."""
    return BottleneckExplorer(made_up_results(), task="digits")


@pytest.fixture
def explorer(new_page, widget):
    """The explorer, alone on a page."""
    return mount(new_page(), widget)


def chosen(page):
    """The model's task, hidden size and budget."""
    return [model(page, f"model.get('{name}')") for name in CHOICES]


def assert_shows_its_runs(page, widget):
    """Radios, table, lines and bands are what the model's state asks for."""
    name, hidden, budget = chosen(page)
    checked = page.locator("input:checked").evaluate_all(
        "(all) => all.map(e => e.value)"
    )
    assert checked[:3] == [name, str(hidden), str(budget)]
    (task,) = [each for each in widget.tasks if each["name"] == name]
    attention, vector = [
        each
        for each in task["runs"]
        if (each["hidden"], each["budget"]) == (hidden, budget)
    ]
    assert table(page) == [in_words(attention), in_words(vector)]
    for kind, each in (("attention", attention), ("vector", vector)):
        markers, band = shares(page, f"g.explorer-{kind}")
        np.testing.assert_allclose(markers, each["mean"], atol=0.002)
        np.testing.assert_allclose(band, each["high"] + each["low"][::-1], atol=0.002)


def in_words(one):
    """A run's row of the table."""
    columns = zip(one["mean"], one["low"], one["high"], strict=True)
    return [f"{mean:.2f}\n{low:.2f} to {high:.2f}" for mean, low, high in columns]


def table(page):
    """The texts of the table's body, a list for each row."""
    rows = page.get_by_role("row").all()[1:]
    return [row.get_by_role("cell").all_inner_texts() for row in rows]


def shares(page, line):
    """A line's markers and the corners of its band, read off the drawn axis."""
    box = "(all) => all.map((e) => e.getBBox()).map((b) => b.y + b.height / 2)"
    zero, _, one = page.locator(".explorer-grid").evaluate_all(box)
    markers = page.locator(f"{line} :is(circle, .explorer-square)").evaluate_all(box)
    points = page.locator(f"{line} polygon").get_attribute("points").split()
    band = [float(point.split(",")[1]) for point in points]
    return [[(zero - y) / (zero - one) for y in each] for each in (markers, band)]


def live(page):
    """The sentence that is announced."""
    return page.locator("[aria-live=polite]").inner_text()


def test_table_lines_and_bands_show_the_runs_from_the_start(explorer, widget):
    assert chosen(explorer) == ["digits", 32, 1]
    assert_shows_its_runs(explorer, widget)


@pytest.mark.parametrize(
    ("start", "keys", "expected"),
    [
        ("32", ["ArrowRight"], ["digits", 64, 1]),
        ("32", ["ArrowRight", "ArrowRight"], ["digits", 96, 1]),
        ("one budget", ["ArrowRight"], ["digits", 32, 5]),
        ("reversed digits", ["ArrowLeft"], ["lists", 32, 1]),
    ],
)
def test_the_arrow_keys_choose_what_is_shown(explorer, widget, start, keys, expected):
    before = table(explorer)
    explorer.get_by_role("radio", name=start).focus()
    for key in keys:
        explorer.keyboard.press(key)
    assert chosen(explorer) == expected
    assert model(explorer, "model.saved") == len(keys)
    assert table(explorer) != before
    assert_shows_its_runs(explorer, widget)
    focused = explorer.locator("input:focus")
    assert focused.is_checked() and focused.get_attribute("value") in map(str, expected)


def test_the_form_is_never_sent(explorer):  # some browsers would, on Enter
    explorer.evaluate(
        "addEventListener('submit', (e) => { window.sent = !e.defaultPrevented; })"
    )
    explorer.locator("form").evaluate("(form) => form.requestSubmit()")
    assert explorer.evaluate("window.sent") is False


def test_a_task_that_lacks_a_setting_moves_to_the_nearest_run(explorer, widget):
    explorer.get_by_role("radio", name="single numbers").check()
    assert chosen(explorer) == ["single", 64, 5]
    assert explorer.get_by_role("group", name="Hidden size").inner_text().split() == [
        *("Hidden", "size", "64")
    ]
    assert table(explorer)[0] == ["\u2013"] * 2
    assert live(explorer) == (
        "With 64 numbers of state and 5 budgets, 4 to 9 digits: "
        f"attention not trained, one vector {table(explorer)[1][1][:4]}."
    )
    assert explorer.locator("g.explorer-attention").count() == 0
    assert explorer.locator(".explorer-beyond").count() == 0
    explorer.get_by_role("radio", name="reversed digits").check()
    assert chosen(explorer) == ["digits", 64, 5]
    assert_shows_its_runs(explorer, widget)


def test_a_change_from_the_kernel_shows_and_keeps_the_focus(explorer, widget):
    explorer.get_by_role("radio", name="32").focus()
    model(explorer, "model.set('hidden', 96)")
    model(explorer, "model.set('budget', 5)")
    assert_shows_its_runs(explorer, widget)
    assert explorer.locator("input:focus").get_attribute("value") == "32"
    model(explorer, "model.set('task', 'single')")  # has no run of this size
    assert "attention not trained, one vector not trained" in live(explorer)


def test_the_outcome_is_a_sentence_about_the_chosen_length(explorer):
    attention, vector = table(explorer)
    start = "With 32 numbers of state and one budget, "
    assert live(explorer) == (
        f"{start}9 to 12 digits: attention {attention[2][:4]}, "
        f"one vector {vector[2][:4]}."
    )
    explorer.get_by_role("radio", name="13 to 16 digits").check()
    assert live(explorer) == (
        f"{start}13 to 16 digits, longer than in training: "
        f"attention {attention[3][:4]}, one vector {vector[3][:4]}."
    )
    explorer.get_by_role("radio", name="lists of").check()
    explorer.get_by_role("radio", name="1 number", exact=True).check()
    assert "budget, 1 number: attention" in live(explorer)


def test_the_budget_says_how_many_steps_it_is(explorer):
    training = explorer.get_by_role("group", name="Training")
    assert "one budget (500 steps)" in training.inner_text()
    assert "5 budgets (2,500 steps)" in training.inner_text()
    explorer.get_by_role("radio", name="lists of").check()
    assert "5 budgets (1,500 steps)" in training.inner_text()


def test_examples_of_the_chosen_length_show_what_each_model_wrote(explorer):
    explorer.get_by_role("radio", name="1 to 4 digits").check()
    assert "2 of the 100 inputs tested" in explorer.locator(".explorer").inner_text()
    first, second = explorer.locator("dl").all()
    assert first.locator("dd").all_inner_texts() == [
        "<b>digits</b> 0 1 2 3",
        "3 2 1 0 <b>digits</b>",
        "\u2713 right: 3 2 1 0 <b>digits</b>",
        "\u2717 1 wrong, 1 missing: x 2 1 0 [1 missing]",
    ]
    assert second.locator("dd").first.inner_text() == "<b>digits</b> 1 2 3 4"
    assert first.locator("mark").all_inner_texts() == ["x"]
    underlined = first.locator("mark").evaluate(
        "(e) => getComputedStyle(e).textDecorationLine"
    )
    assert underlined == "underline"
    explorer.get_by_role("radio", name="13 to 16 digits").check()
    assert len(explorer.locator("dd").first.inner_text().split()) == 17


def test_the_two_lines_differ_by_more_than_colour(explorer):
    dashes = "(e) => getComputedStyle(e).strokeDasharray"
    attention, vector = (
        explorer.locator(f"g.explorer-{kind} .explorer-line")
        for kind in ("attention", "vector")
    )
    assert attention.evaluate(dashes) == "none" != vector.evaluate(dashes)
    assert explorer.locator("g.explorer-attention circle").count() == 4
    assert explorer.locator("g.explorer-vector .explorer-square").count() == 4
    names = explorer.locator(".explorer-name").all_text_contents()
    assert names == ["\u25cf attention", "\u25a0 one vector"]


def test_names_of_lines_that_end_together_do_not_overlap(new_page):
    results = [run("lists", 32, 0, attention, 1) for attention in (True, False)]
    for last in ((0, 0), (0.02, 0), (0, 0.02), (1, 1)):
        for result, share in zip(results, last, strict=True):
            result["sequence_accuracy"][-1][-1] = share
        page = mount(new_page(), BottleneckExplorer(results))
        first, second = (
            name.bounding_box() for name in page.locator(".explorer-name").all()
        )
        upper, lower = sorted((first, second), key=lambda box: box["y"])
        assert upper["y"] + upper["height"] <= lower["y"] + 1
        assert (upper is first) == (last[0] >= last[1])


@pytest.mark.parametrize("width", [1280, 390])
def test_what_was_not_trained_on_is_shaded_and_named(new_page, widget, width):
    page = mount(new_page(width=width), widget)
    shaded = page.locator(".explorer-beyond").bounding_box()
    centres = [
        box["x"] + box["width"] / 2
        for box in (e.bounding_box() for e in page.locator("circle").all())
    ]
    inside = [shaded["x"] < x < shaded["x"] + shaded["width"] for x in centres]
    assert inside == [False, False, False, True]
    assert page.locator("text", has_text="longer than in training").count() == 1
    header = page.get_by_role("columnheader", name="13 to 16")
    assert header.inner_text() == "13 to 16\nnot trained on"


@pytest.mark.parametrize("width", [1280, 390])
def test_every_text_of_the_chart_is_inside_it_and_on_its_own(new_page, widget, width):
    page = mount(new_page(width=width), widget)
    chart = page.get_by_role("img").bounding_box()
    boxes = [text.bounding_box() for text in page.locator(".explorer text").all()]
    for i, box in enumerate(boxes):
        assert chart["x"] <= box["x"]
        assert box["x"] + box["width"] <= chart["x"] + chart["width"]
        assert not [other for other in boxes[:i] if overlap(box, other)]


def overlap(one, other):
    """Whether two boxes share more than a pixel both ways."""
    return all(
        min(one[at] + one[size], other[at] + other[size]) - max(one[at], other[at]) > 1
        for at, size in (("x", "width"), ("y", "height"))
    )


def test_the_chart_follows_the_width_of_its_place(explorer):
    explorer.set_viewport_size({"width": 600, "height": 800})
    explorer.wait_for_function(
        """() => {
            const chart = document.querySelector(".explorer svg");
            const names = [...chart.querySelectorAll(".explorer-name")];
            const end = chart.getBoundingClientRect().right;
            return names.every((e) => e.getBoundingClientRect().right <= end);
        }"""
    )


def test_every_control_has_a_name_and_every_group_too(explorer):
    session = explorer.context.new_cdp_session(explorer)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    named = {
        role: [n["name"]["value"] for n in nodes if n["role"]["value"] == role]
        for role in ("radio", "group", "table", "image")
    }
    assert len(named["radio"]) == len(set(named["radio"])) == 3 + 3 + 2 + 4
    assert named["group"] == ["Task", "Hidden size", "Training", "Examples of length"]
    assert named["table"][0].startswith("Sequence accuracy on reversed digits")
    assert "the table below has its numbers" in named["image"][0]


def test_text_from_the_results_is_never_markup(explorer):
    assert explorer.locator("main b").count() == 0
    assert "<b>digits</b>" in explorer.locator("dl").first.inner_text()


def test_two_explorers_on_one_page_are_independent(explorer, widget):
    mount(explorer, widget)
    first, second = explorer.locator(".explorer").all()
    before = second.inner_text()
    first.get_by_role("radio", name="96").check()
    first.get_by_role("radio", name="1 to 4 digits").check()
    assert second.inner_text() == before
    assert second.locator("input:checked").count() == 4
    assert explorer.locator(".explorer [id]").count() == 0


def test_a_removed_view_no_longer_listens(explorer):
    assert model(explorer, "mounted[0].listeners.length") == len(CHOICES) + 1  # bin
    model(explorer, "mounted[0].cleanUp()")
    assert model(explorer, "mounted[0].listeners.length") == 0


def test_a_phone_needs_no_sideways_scroll_and_has_targets_for_fingers(new_page, widget):
    page = mount(new_page(width=390), widget)
    for task in ("reversed digits", "lists of number words", "single numbers"):
        page.get_by_role("radio", name=task).check()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        over = "(all) => Math.max(...all.map((e) => e.scrollWidth - e.clientWidth))"
        assert page.locator(".explorer, .explorer div").evaluate_all(over) <= 0
    sizes = page.locator(".explorer label").evaluate_all(
        "(all) => all.map((e) => [e.offsetWidth, e.offsetHeight])"
    )
    assert np.min(sizes) >= 24


def test_nothing_moves(explorer):
    longest = "(all) => Math.max(...all.flatMap((e) => { const s = getComputedStyle(e);"
    longest += "return [s.transitionDuration, s.animationDuration].map(parseFloat); }))"
    explorer.emulate_media(reduced_motion="no-preference")
    assert explorer.locator(".explorer, .explorer *").evaluate_all(longest) == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_ground(explorer, theme):
    explorer.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    texts = explorer.locator(
        ".explorer :is(label, legend, p, caption, th, td, small, dt, dd, mark, i, text)"
    )
    colours = texts.evaluate_all(
        "(all) => all.map((e) => [getComputedStyle(e), e.ownerSVGElement])"
        ".map(([style, svg]) => (svg ? style.fill : style.color))"
    )
    ground = explorer.locator(".explorer").evaluate(
        "(e) => getComputedStyle(e).backgroundColor"
    )
    assert len(colours) > 50
    assert min(contrast(colour, ground) for colour in set(colours)) >= 4.5


def contrast(one, other):
    """The contrast of two colours written as rgb(), as WCAG 2 defines it."""
    lights = []
    for colour in (one, other):
        parts = np.array([int(x) for x in colour[4:-1].split(",")]) / 255
        linear = np.where(
            parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4
        )
        lights.append(linear @ [0.2126, 0.7152, 0.0722] + 0.05)
    return max(lights) / min(lights)
