"""Where each word of a sentence looks, in every layer and head of an encoder."""

import base64
import json
from html import escape

import numpy as np
import traitlets

from course_lib.widgets.base import FOLDER, CourseWidget

MINILM = FOLDER / "minilm_attention.json"  # made by `python -m tools.heatmap_data`
STEPS = 100  # a weight goes to the page as a number of them: what it shows is exact
ROUNDING = 0.5 / STEPS  # the furthest that a weight can be from the true one


class AttentionHeatmap(CourseWidget):
    """The weights of one head: a word chosen, and how much it takes from each other.

    Weights go to the page in 8 bits each, rounded to the two decimals that it shows.
    Layers, heads and sentences count from 1, as the text does; words from 0.

    Args:
        sentences: dicts, as `sentence` makes them, all of one model
        sentence:  the one to start with
        layer, head: the ones to start with
        compare:   whether its twin stands below it

    Raises:
        ValueError: there is no sentence, or they are not of one model.
        traitlets.TraitError: there is no such sentence, layer or head.
    """

    stem, name = "attention_heatmap", "heatmap"

    sentences = traitlets.List(traitlets.Dict()).tag(sync=True)
    sentence = traitlets.Int().tag(sync=True)
    layer = traitlets.Int().tag(sync=True)
    head = traitlets.Int().tag(sync=True)
    word = traitlets.Int().tag(sync=True)
    compare = traitlets.Bool().tag(sync=True)

    def __init__(self, sentences, sentence=1, layer=1, head=1, compare=False):
        sentences = list(sentences)
        sizes = {(each["layers"], each["heads"]) for each in sentences}
        if len(sizes) != 1:
            raise ValueError(
                "sentences must hold one or more, all with the same number of layers "
                f"and heads, but there are {len(sentences)} with {sorted(sizes)}"
            )
        for each in sentences:
            if each["twin"] is not None and not 1 <= each["twin"] <= len(sentences):
                raise ValueError(
                    f"twin must count sentences from 1 to {len(sentences)}, but it is "
                    f"{each['twin']}"
                )
        super().__init__(
            sentences=sentences,
            sentence=sentence,
            layer=layer,
            head=head,
            word=sentences[min(sentence, len(sentences)) - 1]["focus"],
            compare=compare,
        )

    @classmethod
    def of_minilm(cls, **start):
        """The real MiniLM on a dozen sentences; needs neither PyTorch nor weights.

        Args:
            start: as for the class. None: what the first page shows.
        """
        sentences = json.loads(MINILM.read_text(encoding="utf-8"))
        return cls(sentences, **({"layer": 4, "head": 2, "compare": True} | start))

    @traitlets.validate("sentence", "layer", "head")
    def _known(self, proposal):
        name, chosen = proposal["trait"].name, proposal["value"]
        last = {
            "sentence": len(self.sentences),
            "layer": self.sentences[0]["layers"],
            "head": self.sentences[0]["heads"],
        }[name]
        if not 1 <= chosen <= last:
            raise traitlets.TraitError(
                f"{name} must be from 1 to {last}, but it is {chosen}"
            )
        return chosen

    def heights(self):
        """As for every `CourseWidget`: more words take more lines and a larger map."""
        n = len(self.sentences[self.sentence - 1]["tokens"])
        if self.compare:
            return 480 + 26 * n, 950 + 37 * n
        return 340 + 28 * n, 760 + 17 * n

    def static(self):
        """The chosen word's weights, in its sentence and in the twin."""
        first = self.sentences[self.sentence - 1]
        shown = [(first, self.word)]
        if self.compare and first["twin"]:
            twin = self.sentences[first["twin"] - 1]
            shown.append((twin, twin["focus"]))
        lists = "".join(self._strip(*each) for each in shown)
        return (
            f"<figure>{lists}<figcaption>Layer {self.layer}, head {self.head}: how "
            f"much “{escape(first['tokens'][self.word])}” takes from each word."
            "</figcaption></figure>"
        )

    def _strip(self, sentence, word):
        weights = weights_of(sentence)[self.layer - 1, self.head - 1, word]
        words = "".join(
            f'<li style="--weight: {weight:.2f}"><span class="heatmap-word'
            f'{" heatmap-asks" if i == word else ""}">{escape(token)}</span> '
            f'<span class="heatmap-weight">{weight:.2f}</span></li>'
            for i, (token, weight) in enumerate(
                zip(sentence["tokens"], weights, strict=True)
            )
        )
        label = escape(f"{sentence['text']} Each word with its weight.", quote=True)
        return f'<ol class="heatmap-strip" aria-label="{label}">{words}</ol>'


def sentence(text, tokens, weights, focus, twin=None):
    """What the page needs of one sentence.

    Args:
        text:    the sentence
        tokens:  its n pieces, as the model reads them
        weights: (n_layers, n_heads, n, n), each row summing to 1
        focus:   position of the piece to start with
        twin:    number, from 1, of the sentence to compare it with, or None

    Raises:
        ValueError: weights are not between 0 and 1, or have another shape.
    """
    weights, n = np.asarray(weights), len(tokens)
    if weights.ndim != 4 or weights.shape[2:] != (n, n):
        raise ValueError(
            f"weights must have shape (n_layers, n_heads, {n}, {n}), "
            f"but it is {weights.shape}"
        )
    if not (weights.min() >= 0 and weights.max() <= 1 + 1e-6):
        raise ValueError("weights must lie between 0 and 1")
    if not 0 <= focus < n:
        raise ValueError(f"focus must be a position below {n}, but it is {focus}")
    levels = np.round(weights * STEPS).astype(np.uint8)
    return {
        "text": text,
        "tokens": list(tokens),
        "layers": weights.shape[0],
        "heads": weights.shape[1],
        "focus": focus,
        "twin": twin,
        "weights": base64.b64encode(levels.tobytes()).decode("ascii"),
    }


def weights_of(sentence):
    """The (n_layers, n_heads, n, n) weights that a sentence was made from, rounded."""
    n = len(sentence["tokens"])
    shape = sentence["layers"], sentence["heads"], n, n
    numbers = np.frombuffer(base64.b64decode(sentence["weights"]), np.uint8)
    return numbers.reshape(shape) / STEPS
