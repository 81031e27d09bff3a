"""The three steps of attention with numbers that the reader can edit."""

import math

import numpy as np
import traitlets

from course_lib.in_numpy.attention import attend
from course_lib.shapes.attention import check_key_and_value
from course_lib.shapes.basic import check_mask, check_same
from course_lib.widgets.base import CourseWidget, table

COLDEST, HOTTEST = 0.05, 20.0  # the ends of the temperature slider


class QKVCalculator(CourseWidget):
    """One query looks at n_k keys: scores, weights and output follow every edit.

    Args:
        query: (d_k,)
        key:   (n_k, d_k)
        value: (n_k, d_v)
        labels: n_k words, one a position. None = 1, 2, 3, ...
        mask:  (n_k,) bool, True = may attend. None = all may.
        temperature: number from 0.05 to 20 that divides the scores
        scale: whether the scores are also divided by sqrt(d_k)

    Raises:
        ValueError or TypeError naming the argument that does not fit.
    """

    stem, name = "qkv_calculator", "qkv"
    parts = ("value_picture",)

    query = traitlets.List(traitlets.Float()).tag(sync=True)
    key = traitlets.List(traitlets.List(traitlets.Float())).tag(sync=True)
    value = traitlets.List(traitlets.List(traitlets.Float())).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    mask = traitlets.List(traitlets.Bool()).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    scale = traitlets.Bool(False).tag(sync=True)
    start = traitlets.Dict().tag(sync=True)  # what Reset goes back to

    def __init__(
        self,
        query,
        key,
        value,
        labels=None,
        mask=None,
        temperature=1.0,
        scale=False,
    ):
        query = _numbers("query", query, 1)
        key, value = _numbers("key", key, 2), _numbers("value", value, 2)
        check_same("query", len(query), "key", key.shape[1], "features")
        check_key_and_value(key, value)
        if not COLDEST <= temperature <= HOTTEST:
            raise ValueError(
                f"temperature must lie between {COLDEST} and {HOTTEST:g}, "
                f"but it is {temperature}"
            )
        start = {
            "query": query.tolist(),
            "key": key.tolist(),
            "value": value.tolist(),
            "mask": _mask(mask, len(key)),
            "temperature": float(temperature),
            "scale": bool(scale),
        }
        super().__init__(labels=_labels(labels, len(key)), start=start, **start)

    def result(self):
        """What the page shows now, computed in NumPy.

        Returns:
            scores (n_k,), before the temperature divides them; weights (n_k,), the
            softmax of scores / temperature over the allowed keys; output (d_v,).
        """
        scores = np.array(self.key) @ np.array(self.query)  # (n_k,)
        if self.scale:
            scores = scores / math.sqrt(len(self.query))
        cooled = scores[None] / self.temperature  # (1, n_k)
        output, weights = attend(cooled, np.array(self.value), np.array(self.mask))
        return scores, weights[0], output[0]

    def heights(self):
        """As for every `CourseWidget`: a row, or a card on a phone, for each key."""
        return 460 + 50 * len(self.key), 570 + 141 * len(self.key)

    def static(self):
        """The three steps as a table, and the output."""
        scores, weights, output = self.result()
        rows = [
            [label, _text(key), f"{score:.2f}", f"{weight:.2f}", _text(value)]
            for label, key, score, weight, value in zip(
                self.labels, self.key, scores, weights, self.value, strict=True
            )
        ]
        divisor = " / √d_k" if self.scale else ""
        caption = (
            f"The query {_text(self.query)} is compared with every key; the softmax "
            f"of score / {self.temperature:g} gives the weights; the sum of the values "
            f"by these weights is the output {_text(output)}."
        )
        header = ["position", "key", f"score{divisor}", "weight", "value"]
        return table(caption, header, rows)


def _numbers(name, numbers, n_axes):
    expected = f"{name} must be {n_axes}-dimensional and hold finite numbers"
    try:
        array = np.asarray(numbers, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(f"{expected}, in rows of one length") from None
    if array.ndim != n_axes or not array.size or not np.isfinite(array).all():
        raise ValueError(f"{expected}, but it is {array.tolist()}")
    return array


def _mask(mask, n_k):
    mask = np.ones(n_k, dtype=bool) if mask is None else np.asarray(mask)
    check_mask(mask, (n_k,))
    return np.broadcast_to(mask, n_k).tolist()


def _labels(labels, n_k):
    labels = range(1, n_k + 1) if labels is None else labels
    check_same("labels", len(labels), "key", n_k, "positions")
    return [str(label) for label in labels]


def _text(vector):
    return f"({', '.join(f'{round(x, 2):g}' for x in vector)})"
