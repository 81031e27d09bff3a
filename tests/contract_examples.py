"""An example call of every public function of the two halves, for test_contracts.py.

An example is what a function returns, by name, and a function that draws its arguments.
The twin in PyTorch gets the same arguments as tensors. A `_backward` needs no example:
it takes arguments and results of its forward, by their names, and `d_` in front of a
result is a gradient of that shape.
"""

import numpy as np

from course_lib.shapes.transformer import Settings

D, N_HEADS, N_WORDS = 4, 2, 7  # features, heads of two features, words


class Draw:
    """Draws the arguments of one call."""

    def __init__(self, batch=(2,), n_q=3, n_k=5, dtype="float64"):
        self.batch, self.n_q, self.n_k, self.dtype = batch, n_q, n_k, dtype
        self.rng = np.random.default_rng(0)

    def x(self, *shape):
        """Floats with the batch axes in front."""
        return self.shared(*self.batch, *shape)

    def shared(self, *shape):
        """Floats that serve the whole batch, such as weights."""
        return self.rng.standard_normal(shape).astype(self.dtype)

    def ids(self, *shape, below=N_WORDS):
        """Whole numbers with the batch axes in front."""
        return self.rng.integers(0, below, (*self.batch, *shape))

    def mask(self, *shape):
        """Booleans with the batch axes in front."""
        return self.rng.random((*self.batch, *shape)) < 0.7

    def one_hot(self, n):
        """One choice of n for each query."""
        chosen = self.rng.integers(0, n, (*self.batch, self.n_q, 1))
        return (np.arange(n) == chosen).astype(self.dtype)

    def pair(self):
        """Query and key."""
        return self.x(self.n_q, D), self.x(self.n_k, D)

    def triple(self, n_q=None):
        """Query, key and value."""
        return self.x(n_q or self.n_q, D), self.x(self.n_k, D), self.x(self.n_k, 3)

    def scored(self):
        """Scores, value and mask."""
        pairs = self.n_q, self.n_k
        return self.x(*pairs), self.x(self.n_k, 3), self.mask(*pairs)

    # Parameters -----------------------------------------------------------------------

    def gru(self, d_x=3, d_hidden=2):
        """The four weights of a GRU."""
        shapes = {
            "W_x": (3 * d_hidden, d_x),
            "W_h": (3 * d_hidden, d_hidden),
            "b_x": (3 * d_hidden,),
            "b_h": (3 * d_hidden,),
        }
        return {name: self.shared(*shape) for name, shape in shapes.items()}

    def heads(self):
        """The parameters of attention with two heads, that share one key/value head."""
        square, half = (D, D), (D // N_HEADS, D)
        shapes = {"W_q": square, "W_k": half, "W_v": half, "W_o": square, "b_q": (D,)}
        return {name: self.shared(*shape) for name, shape in shapes.items()}

    def norm(self):
        return {"gain": self.shared(D), "bias": self.shared(D)}

    def hidden(self):
        """The parameters of a feed-forward network."""
        return {
            "W_1": self.shared(6, D),
            "W_2": self.shared(D, 6),
            "b_1": self.shared(6),
        }

    def layer(self, cross=False):
        """The parameters of a layer of an encoder, or of a decoder."""
        parts = {"attention": self.heads(), "feed_forward": self.hidden()}
        if cross:
            parts["cross"] = self.heads()
        return parts | {f"{name}_norm": self.norm() for name in parts}

    def step(self, d_fed, score):
        """The parameters of a decoder's step into which d_fed features are fed."""
        return {
            "cell": self.gru(d_fed),
            "score": score,
            "W_join": self.shared(3, D + 2),
        }

    def decoder(self):
        """The parameters of a recurrent decoder in Bahdanau's wiring."""
        score = {
            "W_q": self.shared(2, 2),
            "W_k": self.shared(2, D),
            "v": self.shared(2),
        }
        return self.step(3 + D, score) | {
            "embedding": self.shared(N_WORDS, 3),
            "W_out": self.shared(N_WORDS, 3),
            "b_out": self.shared(N_WORDS),
        }


ROTARY = Settings(N_HEADS, norm_first=True, activation="gelu", positions="rotary")
LEARNED = Settings(N_HEADS, positions="learned")
ALIBI = Settings(N_HEADS, positions="alibi")


def _step(d, feed):
    """The arguments of a decoder's step, into which `feed` features are fed."""
    score = {"W": d.shared(2, D)}
    state = [d.x(3), d.x(2), d.x(3), d.x(d.n_k, D)]
    return [*state, d.step(3 + feed, score), "general", d.mask(d.n_k)]


def _attention_encoder_decoder(d):
    parameters = {
        "source_embedding": d.shared(N_WORDS, 3),
        "encoder": d.gru(3, D),
        "W_start": d.shared(2, D),
        "b_start": d.shared(2),
        "decoder": d.decoder(),
    }
    return [d.ids(d.n_k), d.ids(d.n_q), parameters, "additive", "bahdanau"]


def _encoder_decoder(d):
    parameters = {
        "source_embedding": d.shared(N_WORDS, 3),
        "target_embedding": d.shared(N_WORDS, 3),
        "encoder": tuple(d.gru().values()),
        "decoder": tuple(d.gru().values()),
        "W_out": d.shared(N_WORDS, 2),
        "b_out": d.shared(N_WORDS),
    }
    return [d.ids(d.n_k), d.ids(d.n_q), parameters]


def _transformer(d):
    return {
        "source_embedding": d.shared(N_WORDS, D),
        "target_embedding": d.shared(N_WORDS, D),
        "position_table": d.shared(11, D),
        "encoder": [d.layer()],
        "decoder": [d.layer(cross=True)],
    }


def _language_model(d):
    parameters = {
        "embedding": d.shared(N_WORDS, D),
        "layers": [d.layer(), d.layer()],
        "norm": d.norm(),
    }
    return [d.ids(d.n_q), parameters, ROTARY]


def _masked_model(d, head):
    parameters = {
        "embedding": d.shared(N_WORDS, D),
        "position_table": d.shared(11, D),
        "segment_table": d.shared(2, D),
        "embedding_norm": d.norm(),
        "layers": [d.layer()],
    }
    if head:
        parameters["head"] = {"W": d.shared(D, D), "b": d.shared(D), "norm": d.norm()}
        parameters["b_out"] = d.shared(N_WORDS)
    return [d.ids(d.n_q), parameters, LEARNED, d.mask(d.n_q)]


def _adam(d):
    parameters = {"W": d.shared(2, 3), "layers": [d.shared(5)]}
    gradients = {"W": d.shared(2, 3), "layers": [d.shared(5)]}
    squares = {"W": d.shared(2, 3) ** 2, "layers": [d.shared(5) ** 2]}
    return [parameters, gradients, gradients, squares, 3]


EXAMPLES = {
    # ops
    "ops.softmax": ("weights", lambda d: [d.x(d.n_k)]),
    "ops.masked_softmax": ("weights", lambda d: [d.x(d.n_k), d.mask(d.n_k)]),
    "ops.log_softmax": ("log_weights", lambda d: [d.x(d.n_k)]),
    "ops.cross_entropy": (
        "loss",
        lambda d: [d.x(d.n_k, N_WORDS), d.ids(d.n_k), d.mask(d.n_k), 0.1],
    ),
    "ops.layer_norm": ("output", lambda d: [d.x(d.n_k, D), d.shared(D), d.shared(D)]),
    "ops.rms_norm": ("output", lambda d: [d.x(d.n_k, D), d.shared(D)]),
    "ops.relu": ("output", lambda d: [d.x(d.n_k)]),
    "ops.sigmoid": ("output", lambda d: [d.x(d.n_k)]),
    "ops.silu": ("output", lambda d: [d.x(d.n_k)]),
    "ops.gelu": ("output", lambda d: [d.x(d.n_k)]),
    # linear
    "linear.linear": (
        "output",
        lambda d: [d.x(d.n_k, D), d.shared(3, D), d.shared(3)],
    ),
    "linear.embed": ("rows", lambda d: [d.ids(d.n_k), d.shared(N_WORDS, D)]),
    "linear.sum_to": ("sums", lambda d: [d.shared(2, d.n_k, D), (d.n_k, 1)]),
    # masks
    "masks.padding_mask": ("mask", lambda d: [d.ids(below=5), 5]),
    "masks.causal_mask": ("mask", lambda d: [d.n_q, d.n_k]),
    "masks.sliding_window_mask": ("mask", lambda d: [d.n_q, 2, d.n_k]),
    "masks.combine_masks": ("mask", lambda d: [d.mask(d.n_k), None, d.mask(d.n_k)]),
    # scores
    "scores.dot_scores": ("scores", lambda d: d.pair()),
    "scores.scaled_dot_scores": ("scores", lambda d: [*d.pair(), 0.5]),
    "scores.general_scores": ("scores", lambda d: [*d.pair(), d.shared(D, D)]),
    "scores.concat_scores": (
        "scores",
        lambda d: [*d.pair(), d.shared(3, 2 * D), d.shared(3)],
    ),
    "scores.additive_scores": (
        "scores",
        lambda d: [*d.pair(), d.shared(3, D), d.shared(3, D), d.shared(3)],
    ),
    "scores.location_scores": (
        "scores",
        lambda d: [d.x(d.n_q, D), d.shared(11, D), d.n_k],
    ),
    # attention
    "attention.attend": ("output weights", lambda d: d.scored()),
    "attention.scaled_dot_product_attention": (
        "output weights",
        lambda d: [*d.triple(), d.mask(d.n_q, d.n_k), 0.5],
    ),
    "attention.additive_attention": (
        "output weights",
        lambda d: [*d.triple(), d.shared(2, D), d.shared(2, D), d.shared(2)],
    ),
    # local
    "local.monotonic_centre": ("centre", lambda d: [d.n_q]),
    "local.predicted_centre": (
        "centre",
        lambda d: [d.x(d.n_q, D), d.shared(3, D), d.shared(3), d.ids(below=5)],
    ),
    "local.local_mask": ("mask", lambda d: [d.x(d.n_q), 2, d.n_k]),
    "local.nearness": ("nearness", lambda d: [d.x(d.n_q), 2, d.n_k]),
    "local.local_attention": (
        "output weights",
        lambda d: [*d.scored()[:2], d.x(d.n_q), 2],
    ),
    "local.gaussian_local_attention": (
        "output weights",
        lambda d: [*d.scored()[:2], d.x(d.n_q), 2],
    ),
    # hard
    "hard.choose": ("weights", lambda d: [d.x(d.n_k), d.mask(d.n_k)]),
    "hard.attend_hard": (
        "output weights",
        lambda d: [*d.scored(), d.x(d.n_q, d.n_k)],
    ),
    "hard.log_probability": (
        "log_probability",
        lambda d: [d.x(d.n_q, d.n_k), d.one_hot(d.n_k)],
    ),
    "hard.score_function_gradient": (
        "scores",
        lambda d: [d.x(d.n_q, d.n_k), d.one_hot(d.n_k), d.x(d.n_q), None, d.x(d.n_q)],
    ),
    "hard.moving_average": ("average", lambda d: [0.5, d.x(d.n_q)]),
    "hard.baseline_error": ("error", lambda d: [d.x(d.n_q), d.x(d.n_q)]),
    "hard.attend_straight_through": (
        "output weights",
        lambda d: [*d.scored()[:2], d.x(d.n_q, d.n_k), d.mask(d.n_q, d.n_k), 0.5],
    ),
    "hard.expected_loss": (
        "expected",
        lambda d: [d.x(d.n_q, d.n_k), d.x(d.n_q, d.n_k), d.mask(d.n_q, d.n_k)],
    ),
    # recurrent
    "recurrent.gru_cell": ("new_state", lambda d: [d.x(3), d.x(2), *d.gru().values()]),
    "recurrent.gru": (
        "states",
        lambda d: [d.x(d.n_k, 3), d.x(2), *d.gru().values(), d.mask(d.n_k)],
    ),
    "recurrent.encoder_decoder": ("logits", _encoder_decoder),
    # wirings
    "wirings.look_back": (
        "context weights",
        lambda d: [d.x(2), d.x(d.n_k, D), {"W": d.shared(2, D)}, "general"],
    ),
    "wirings.join": ("joined", lambda d: [d.x(D), d.x(2), d.shared(3, D + 2)]),
    "wirings.bahdanau_step": (
        "new_state new_joined weights",
        lambda d: _step(d, feed=D),
    ),
    "wirings.luong_step": ("new_state new_joined weights", lambda d: _step(d, feed=3)),
    # recurrent_attention
    "recurrent_attention.attention_decoder": (
        "logits weights",
        lambda d: [d.ids(d.n_q), d.x(2), d.x(d.n_k, D), d.decoder()],
    ),
    "recurrent_attention.attention_encoder_decoder": (
        "logits weights",
        _attention_encoder_decoder,
    ),
    # positions
    "positions.sinusoidal_positions": ("positions", lambda d: [d.n_k, D, 2]),
    "positions.learned_positions": ("positions", lambda d: [d.shared(11, D), d.n_k, 2]),
    "positions.rotary_angles": ("angles", lambda d: [d.n_k, D, 2]),
    "positions.rotate": ("turned", lambda d: [d.x(d.n_k, D), d.shared(d.n_k, D // 2)]),
    "positions.alibi_slopes": ("slopes", lambda d: [N_HEADS]),
    "positions.alibi_bias": ("bias", lambda d: [N_HEADS, d.n_q, d.n_k]),
    # multi_head
    "multi_head.split_heads": ("heads", lambda d: [d.x(d.n_k, D), N_HEADS]),
    "multi_head.merge_heads": ("merged", lambda d: [d.x(N_HEADS, d.n_k, 3)]),
    "multi_head.repeat_heads": ("repeated", lambda d: [d.x(N_HEADS, d.n_k, 3), 6]),
    "multi_head.multi_head_attention": (
        "output weights",
        lambda d: [
            d.x(d.n_q, D),
            d.x(d.n_k, D),
            d.x(d.n_k, D),
            d.heads(),
            N_HEADS,
            d.mask(d.n_q, d.n_k),
            d.mask(N_HEADS),
            None,
            d.x(N_HEADS, d.n_q, d.n_k),
        ],
    ),
    # feed_forward
    "feed_forward.feed_forward": (
        "output",
        lambda d: [d.x(d.n_k, D), d.hidden(), "gelu"],
    ),
    # layers
    "layers.normalise": ("output", lambda d: [d.x(d.n_k, D), d.norm(), 1e-5]),
    "layers.attention_sublayer": (
        "output weights",
        lambda d: [d.x(d.n_q, D), d.x(d.n_k, D), d.layer(cross=True), ALIBI],
    ),
    "layers.feed_forward_sublayer": (
        "output",
        lambda d: [d.x(d.n_q, D), d.layer(), ROTARY],
    ),
    "layers.encoder_layer": (
        "output weights",
        lambda d: [d.x(d.n_q, D), d.layer(), ALIBI, d.mask(d.n_q, d.n_q)],
    ),
    "layers.decoder_layer": (
        "output weights cross_weights",
        lambda d: [d.x(d.n_q, D), d.x(d.n_k, D), d.layer(cross=True), ROTARY],
    ),
    # stack
    "stack.add_positions": (
        "output",
        lambda d: [d.x(d.n_k, D), LEARNED, d.shared(11, D)],
    ),
    "stack.relative_positions": (
        "angles bias",
        lambda d: [d.x(d.n_k, D), [d.layer()], ALIBI],
    ),
    "stack.encoder_stack": (
        "output weights",
        lambda d: [d.x(d.n_q, D), [d.layer(), d.layer()], ALIBI],
    ),
    "stack.decoder_stack": (
        "output weights cross_weights",
        lambda d: [d.x(d.n_q, D), d.x(d.n_k, D), [d.layer(cross=True)], ROTARY],
    ),
    # transformer, language_model, masked_model
    "transformer.encode": (
        "memory weights",
        lambda d: [d.ids(d.n_k), _transformer(d), LEARNED, d.mask(d.n_k)],
    ),
    "transformer.decode": (
        "logits weights cross_weights",
        lambda d: [d.ids(d.n_q), d.x(d.n_k, D), _transformer(d), LEARNED],
    ),
    "transformer.transformer": (
        "logits cross_weights",
        lambda d: [d.ids(d.n_k), d.ids(d.n_q), _transformer(d), LEARNED],
    ),
    "language_model.language_model": ("logits weights", _language_model),
    "masked_model.encode_words": (
        "states weights",
        lambda d: _masked_model(d, head=False),
    ),
    "masked_model.masked_model": (
        "logits weights",
        lambda d: _masked_model(d, head=True),
    ),
    # adam
    "adam.adam_moments": ("moments", lambda d: _adam(d)[:1]),
    "adam.adam_step": ("parameters first second", _adam),
    # tiled, sliding, linear_attention
    "tiled.online_softmax": (
        "weights running_max running_sum",
        lambda d: [d.x(d.n_k)],
    ),
    "tiled.tiled_attention": (
        "output log_sum_exp",
        lambda d: [*d.triple(), d.mask(d.n_q, d.n_k), True, 2],
    ),
    "sliding.sliding_window_attention": (
        "output weights",
        lambda d: [*d.triple(n_q=d.n_k), 3],
    ),
    "linear_attention.elu_features": ("features", lambda d: [d.x(d.n_k)]),
    "linear_attention.linear_attention": (
        "output normaliser",
        lambda d: [*d.triple(n_q=d.n_k), d.mask(1, d.n_k), True],
    ),
    # patches
    "patches.patchify": ("patches", lambda d: [d.x(4, 6, 3), 2]),
    "patches.unpatchify": ("image", lambda d: [d.x(6, 12), 4, 6, 2]),
}


def _denoiser():
    from course_lib.in_torch.denoiser import Denoiser

    return Denoiser(4, 3, 2, N_WORDS, 5, D, N_HEADS, n_layers=1, d_ff=6)


def _text_and_image_model():
    import torch

    from course_lib.in_torch.image_tokens import TextAndImageModel

    return TextAndImageModel(
        N_WORDS, torch.eye(3), 2, 5, D, N_HEADS, n_layers=1, d_ff=6
    )


def _time(d):
    """Times from 0 to 1 that every float type holds exactly."""
    return d.ids(below=5).astype(d.dtype) / 4


# What only PyTorch has. A function that takes a model gets the one that a function
# without arguments makes.
TORCH_EXAMPLES = {
    "denoiser.between": (
        "point velocity",
        lambda d: [d.x(4, 4, 3), d.x(4, 4, 3), _time(d)],
    ),
    "denoiser.flow_loss": (
        "loss",
        lambda d: [_denoiser, d.x(4, 4, 3), d.x(4, 4, 3), _time(d), d.ids(3)],
    ),
    "denoiser.guided_velocity": (
        "velocity cross_weights",
        lambda d: [_denoiser, d.x(4, 4, 3), _time(d), d.ids(3), 2.0],
    ),
    "denoiser.draw": (
        "image cross_weights",
        lambda d: [_denoiser, d.ids(3), d.x(4, 4, 3), 2],
    ),
    "image_tokens.stream_loss": (
        "loss",
        lambda d: [_text_and_image_model, d.ids(3), d.x(2, 2, 3)],
    ),
}
