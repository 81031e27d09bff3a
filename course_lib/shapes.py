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
        raise ValueError(
            f"{name} must have at least {n_axes} axes, but its shape is "
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
