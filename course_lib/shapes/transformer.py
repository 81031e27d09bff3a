"""What a Transformer is apart from its weights, and the checks of what it reads.

Serves `layers`, `stack`, `transformer`, `language_model` and `masked_model`.
"""

from dataclasses import dataclass

from course_lib.shapes.basic import (
    check_boolean,
    check_choice,
    check_count,
    check_integers,
    check_positive,
    check_shape,
)
from course_lib.shapes.feed_forward import ACTIVATIONS
from course_lib.shapes.parameters import check_names

NORMS = ("layer", "rms")
POSITIONS = ("sinusoidal", "learned", "rotary", "alibi", "none")


@dataclass(frozen=True)
class Settings:
    """The choices that no shape of a weight tells.

    Args:
        n_heads:     query heads of every attention
        norm_first:  False: normalise after each residual sum, as Vaswani et al. 2017
            do; True: before each sublayer, as GPT-2 and Llama do
        activation:  of the feed-forward network: relu, gelu or swiglu
        eps:         added to the variance in every norm
        positions:   how order comes in: sinusoidal, learned, rotary, alibi or none
        rotary_base: of rotary positions
    """

    n_heads: int
    norm_first: bool = False
    activation: str = "relu"
    eps: float = 1e-5
    positions: str = "sinusoidal"
    rotary_base: float = 10000.0

    def __post_init__(self):
        check_count("n_heads", self.n_heads)
        check_choice("norm_first", self.norm_first, (False, True))
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("positions", self.positions, POSITIONS)
        for name in ("eps", "rotary_base"):
            check_positive(name, getattr(self, name))


def check_ids(name, ids):
    """Refuse words that are no integers, or of which there are none."""
    check_integers(name, ids)
    if len(ids.shape) == 0 or ids.shape[-1] == 0:
        raise ValueError(
            f"{name} must have at least one position, but its shape is "
            f"{tuple(ids.shape)}"
        )


def check_real_words(name, mask, ids_name, ids):
    """Refuse a mask that is not one bool for each word."""
    if mask is not None:
        check_boolean(name, mask)
        check_shape(name, mask, ids.shape, f"{ids_name} has {tuple(ids.shape)}")


def one_each(name, items, layers):
    """A cache or a head mask for every layer, None for each where there are none.

    Refuses any other number of them (ValueError).
    """
    if items is None:
        return [None] * len(layers)
    if len(items) != len(layers):
        raise ValueError(
            f"{name} has {len(items)} entries but there are {len(layers)} layers: "
            "expected one each"
        )
    return items


def check_layer(parameters, sublayers):
    """Refuse the parameters of a layer that has other sublayers, or lacks a norm."""
    norms = [f"{sublayer}_norm" for sublayer in sublayers]
    check_names(parameters, (*sublayers, *norms))


def check_encoder_decoder(parameters, settings):
    """Refuse parameters that are not those of a `transformer`."""
    needed = ["target_embedding", "encoder", "decoder"]
    norms = ["encoder_norm", "decoder_norm"]
    _check_parts(parameters, settings, needed, norms, ["source_embedding"])


def check_language_model(parameters, settings):
    """Refuse parameters that are not those of a `language_model`."""
    _check_parts(parameters, settings, ["embedding", "layers"], ["norm"], ["W_out"])


def check_masked_model(parameters, settings, head):
    """Refuse parameters that are not those of a `masked_model` with or without head."""
    needed, rest = ["embedding", "embedding_norm", "layers"], ["head", "b_out"]
    if head:
        needed, rest = needed + rest, []
    _check_parts(parameters, settings, needed, ["norm"], ["segment_table", *rest])


def _check_parts(parameters, settings, needed, norms, optional):
    """Refuse parameters that lack what the settings ask for, or have what none read."""
    if settings.positions == "learned":
        needed = [*needed, "position_table"]
    if settings.norm_first:
        needed = [*needed, *norms]
    check_names(parameters, needed, optional)
