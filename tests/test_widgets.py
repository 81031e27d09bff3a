"""Widgets without a browser: traits, what they refuse, how fresh their copies are."""

import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from course_lib.in_numpy.attention import attend, scaled_dot_product_attention
from course_lib.plotting import palette
from course_lib.widgets import CourseWidget, QKVCalculator

ROOT = Path(__file__).parents[1]
WIDGETS = ROOT / "course_lib" / "widgets"
STATE = "application/vnd.jupyter.widget-state+json"
N_K, D_K, D_V = 5, 3, 2


@pytest.fixture
def arguments():
    """Arguments of a calculator whose axes all differ."""
    rng = np.random.default_rng(0)
    return {
        "query": rng.standard_normal(D_K),
        "key": rng.standard_normal((N_K, D_K)),
        "value": rng.standard_normal((N_K, D_V)),
    }


def stale_widgets(notebook):
    """Names of the widgets that a notebook stores with another text than today's."""
    current = {f"{c.__module__}.{c.__name__}": c for c in CourseWidget.__subclasses__()}
    models = notebook["metadata"].get("widgets", {}).get(STATE, {}).get("state", {})
    stored = [model["state"] for model in models.values()]
    ours = [s for s in stored if s.get("_anywidget_id", "").startswith("course_lib.")]
    return [
        state["_anywidget_id"]
        for state in ours
        if state["_anywidget_id"] not in current
        or state["_esm"] != current[state["_anywidget_id"]]._esm
        or state["_css"] != current[state["_anywidget_id"]]._css
    ]


def test_committed_notebooks_hold_the_current_text_of_their_widgets():
    stale = {
        f"{folder}/{path.name}": stale_widgets(
            json.loads(path.read_text(encoding="utf-8"))
        )
        for folder in ("chapters", "solutions")
        for path in (ROOT / folder).glob("*.ipynb")
    }
    assert not any(stale.values()), f"run `make notebooks`: {stale}"


@pytest.mark.parametrize("text", ["_esm", "_css"])
def test_a_notebook_with_an_older_widget_text_is_found(arguments, text):
    state = dict(QKVCalculator(**arguments).get_state())
    notebook = {"metadata": {"widgets": {STATE: {"state": {"a": {"state": state}}}}}}
    assert stale_widgets(notebook) == []
    state[text] += " "
    assert stale_widgets(notebook) == [state["_anywidget_id"]]


@pytest.mark.parametrize("widget", CourseWidget.__subclasses__())
def test_the_shared_maths_and_style_come_before_the_widgets_own(widget):
    assert widget._esm.startswith((WIDGETS / "attention_math.js").read_text())
    assert widget._esm.endswith((WIDGETS / f"{widget.stem}.js").read_text())
    assert widget._css.startswith((WIDGETS / "base.css").read_text())
    assert widget._css.endswith((WIDGETS / f"{widget.stem}.css").read_text())


@pytest.mark.parametrize("widget", CourseWidget.__subclasses__())
def test_a_widget_loads_nothing_and_never_turns_data_into_markup(widget):
    without_svg_name = widget._esm.replace("http://www.w3.org/2000/svg", "")
    forbidden = r"innerHTML|insertAdjacentHTML|https?://|\bimport\b|url\(|@import"
    assert re.findall(forbidden, without_svg_name + widget._css) == []


def test_every_file_of_the_widgets_is_installed_with_them():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["course_lib.widgets"]
    files = [path for path in WIDGETS.iterdir() if path.is_file()]
    others = [path.name for path in files if path.suffix != ".py"]
    assert not [name for name in others if not any(map(Path(name).match, patterns))]


def test_the_widgets_colours_are_the_palettes():
    light, dark = re.findall(
        r"--w-query.*?color-scheme", (WIDGETS / "base.css").read_text(), re.DOTALL
    )
    for block, colours in ((light, palette.LIGHT), (dark, palette.DARK)):
        found = re.findall(r"--w-(\w+):.*?(#[0-9a-f]{6})", block)
        assert dict(found) == colours


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("temperature", [0.05, 1, 20])
def test_result_is_the_attention_of_in_numpy(arguments, scale, temperature):
    mask = np.array([True, False, True, True, False])
    widget = QKVCalculator(**arguments, mask=mask, temperature=temperature, scale=scale)
    scores, weights, output = widget.result()
    divisor = np.sqrt(D_K) if scale else 1
    np.testing.assert_allclose(
        scores, arguments["key"] @ arguments["query"] / divisor, atol=1e-14
    )
    expected_output, expected_weights = scaled_dot_product_attention(
        arguments["query"][None],
        arguments["key"],
        arguments["value"],
        mask,
        temperature=temperature * divisor / np.sqrt(D_K),
    )
    np.testing.assert_allclose(weights, expected_weights[0], atol=1e-14)
    np.testing.assert_allclose(output, expected_output[0], atol=1e-14)


def test_result_follows_what_the_reader_edits(arguments):
    widget = QKVCalculator(**arguments)
    widget.query, widget.mask = [7.0, 0.0, -2.0], [False, True, True, True, True]
    scores, weights, output = widget.result()
    expected = arguments["key"] @ [7, 0, -2]
    expected_output, expected_weights = attend(
        expected[None], arguments["value"], np.array(widget.mask)
    )
    np.testing.assert_allclose(scores, expected, atol=1e-14)
    np.testing.assert_allclose(weights, expected_weights[0], atol=1e-14)
    np.testing.assert_allclose(output, expected_output[0], atol=1e-14)


def test_all_data_is_in_the_state_when_the_widget_is_made(arguments):
    state = QKVCalculator(**arguments).get_state()
    for name, array in arguments.items():
        assert state[name] == state["start"][name] == array.tolist()
    assert state["mask"] == [True] * N_K
    assert state["labels"] == ["1", "2", "3", "4", "5"]


def test_the_text_form_is_the_same_in_every_run(arguments):
    assert repr(QKVCalculator(**arguments)) == "QKVCalculator()"


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("query", np.zeros(2), "query has 2 features but key has 3"),
        ("query", np.zeros((1, D_K)), "query must be 1-dimensional"),
        ("query", [1, 2, np.nan], "query must be 1-dimensional and hold finite"),
        ("query", ["a", "b", "c"], "query must be .* finite numbers"),
        ("key", [[1, 2], [3]], "key must be .* rows of one length"),
        ("key", np.zeros((0, D_K)), "key must be 2-dimensional"),
        ("value", np.zeros((7, D_V)), "key has 5 positions but value has 7"),
        ("value", np.zeros(N_K), "value must be 2-dimensional"),
        ("labels", ["one"], "labels has 1 positions but key has 5"),
        ("mask", [1, 0, 1, 1, 1], "mask must be boolean"),
        ("mask", [True, False], "mask has shape"),
        ("temperature", 0, "temperature must lie between 0.05 and 20"),
        ("temperature", float("nan"), "temperature must lie between 0.05 and 20"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(arguments, name, bad, message):
    with pytest.raises((TypeError, ValueError), match=message):
        QKVCalculator(**(arguments | {name: bad}))
