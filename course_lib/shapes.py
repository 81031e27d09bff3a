"""Checks shared by the NumPy and the PyTorch half: shapes and dtypes, never values.

Nothing here reads a number out of an array, so the same checks work for NumPy arrays
and for tensors on any device, `meta` included.
"""

from numbers import Real


def check_array(name, array, n_axes=0):
    """Refuse what is no array (TypeError) or has too few axes (ValueError)."""
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        raise TypeError(
            f"{name} must be an array, but it is a {type(array).__name__}: "
            "convert it with np.asarray or torch.tensor first"
        )
    if len(array.shape) < n_axes:
        axes = "axis" if n_axes == 1 else "axes"
        raise ValueError(
            f"{name} must have at least {n_axes} {axes}, but its shape is "
            f"{tuple(array.shape)}"
        )


def check_scores(name, scores):
    """Refuse scores with no last axis, or with nothing along it to choose from."""
    check_array(name, scores, 1)
    if scores.shape[-1] == 0:
        raise ValueError(
            f"{name} must have at least one entry along the last axis, but its shape "
            f"is {tuple(scores.shape)}"
        )


def check_same(name, size, other_name, other_size, what):
    """Refuse two sizes that have to be equal (ValueError)."""
    if size != other_size:
        raise ValueError(f"{name} has {size} {what} but {other_name} has {other_size}")


def check_mask(mask, scores_shape):
    """Refuse a mask that is not boolean or does not broadcast to the scores."""
    if mask is None:
        return
    check_array("mask", mask)
    if str(mask.dtype) not in ("bool", "torch.bool"):
        raise TypeError(
            f"mask must be boolean (True = may attend), but its dtype is {mask.dtype}"
        )
    mask_shape, scores_shape = tuple(mask.shape), tuple(scores_shape)
    aligned = zip(reversed(mask_shape), reversed(scores_shape), strict=False)
    if len(mask_shape) > len(scores_shape) or any(m not in (1, s) for m, s in aligned):
        raise ValueError(
            f"mask has shape {mask_shape}, which does not broadcast to the scores' "
            f"shape {scores_shape}"
        )


def check_batch(name, shape, other_name, other_shape):
    """Refuse leading (batch) axes that do not broadcast against each other."""
    pairs = zip(reversed(shape[:-2]), reversed(other_shape[:-2]), strict=False)
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        raise ValueError(
            f"{name} has batch axes {tuple(shape[:-2])} and {other_name} has "
            f"{tuple(other_shape[:-2])}: they must be equal, or 1"
        )


def check_scores_and_value(scores, value, mask):
    """Refuse what `attend` cannot combine."""
    check_array("scores", scores, 2)
    check_array("value", value, 2)
    check_same("scores", scores.shape[-1], "value", value.shape[-2], "positions")
    check_batch("scores", scores.shape, "value", value.shape)
    check_mask(mask, scores.shape)


def check_query_and_key(query, key):
    """Refuse a query and a key that have no dot product."""
    check_array("query", query, 2)
    check_array("key", key, 2)
    check_same("query", query.shape[-1], "key", key.shape[-1], "features")
    check_batch("query", query.shape, "key", key.shape)


def check_key_and_value(key, value):
    """Refuse a key and a value that are not one pair per position."""
    check_array("key", key, 2)
    check_array("value", value, 2)
    check_same("key", key.shape[-2], "value", value.shape[-2], "positions")


def check_temperature(temperature):
    """Refuse a temperature that is not a positive number."""
    if not isinstance(temperature, Real) or not temperature > 0:
        raise ValueError(f"temperature must be a positive number, got {temperature!r}")


def check_class_labels(logits, target, mask):
    """Refuse logits, target and mask that do not belong together."""
    check_scores("logits", logits)
    check_array("target", target)
    if "int" not in str(target.dtype):
        raise TypeError(f"target must hold integers, but its dtype is {target.dtype}")
    if tuple(target.shape) != tuple(logits.shape[:-1]):
        raise ValueError(
            f"target has shape {tuple(target.shape)} but logits have "
            f"{tuple(logits.shape)}: expected {tuple(logits.shape[:-1])}"
        )
    check_mask(mask, target.shape)


def check_integers(name, array):
    """Refuse an array that does not hold whole numbers."""
    check_array(name, array)
    if "int" not in str(array.dtype):
        raise TypeError(f"{name} must hold integers, but its dtype is {array.dtype}")


def check_gru(x, state, W_x, W_h, b_x, b_h):
    """Refuse weights of a GRU that fit neither each other nor the input and state."""
    for name, array in {"x": x, "state": state}.items():
        check_array(name, array, 1)
    d_x, d_hidden = x.shape[-1], state.shape[-1]
    expected = {
        "W_x": (W_x, (3 * d_hidden, d_x)),
        "W_h": (W_h, (3 * d_hidden, d_hidden)),
        "b_x": (b_x, (3 * d_hidden,)),
        "b_h": (b_h, (3 * d_hidden,)),
    }
    for name, (array, shape) in expected.items():
        check_array(name, array)
        if tuple(array.shape) != shape:
            raise ValueError(
                f"{name} has shape {tuple(array.shape)} but x has {d_x} features and "
                f"state has {d_hidden}: expected {shape}"
            )


def check_steps(x, state, mask):
    """Refuse a sequence, a first state and a mask that do not belong together."""
    check_array("x", x, 2)
    check_array("state", state, 1)
    if tuple(state.shape[:-1]) != tuple(x.shape[:-2]):
        raise ValueError(
            f"state has shape {tuple(state.shape)} but x has {tuple(x.shape)}: "
            f"expected batch axes {tuple(x.shape[:-2])}"
        )
    if mask is not None:
        check_mask(mask, x.shape[:-1])
        if tuple(mask.shape) != tuple(x.shape[:-1]):
            raise ValueError(
                f"mask has shape {tuple(mask.shape)} but x has {tuple(x.shape)}: "
                f"expected {tuple(x.shape[:-1])}"
            )


def check_words(source, target_input):
    """Refuse sequences of ids that are no integers, or of which one is missing."""
    check_integers("source", source)
    check_integers("target_input", target_input)
    if len(source.shape) == 0 or source.shape[-1] == 0:
        raise ValueError(
            f"source must have at least one position, but its shape is "
            f"{tuple(source.shape)}"
        )
    if tuple(source.shape[:-1]) != tuple(target_input.shape[:-1]):
        raise ValueError(
            f"source has batch axes {tuple(source.shape[:-1])} and target_input has "
            f"{tuple(target_input.shape[:-1])}: they must be equal"
        )
