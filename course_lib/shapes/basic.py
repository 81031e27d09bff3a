"""What most checks are made of: arrays, whole numbers, sizes, masks, batch axes."""

from numbers import Integral


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


def check_integers(name, array):
    """Refuse an array that does not hold whole numbers."""
    check_array(name, array)
    if "int" not in str(array.dtype):
        raise TypeError(f"{name} must hold integers, but its dtype is {array.dtype}")


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


def check_shape(name, array, expected, because):
    """Refuse an array of another shape (ValueError); `because` says what decides it."""
    check_array(name, array)
    if tuple(array.shape) != tuple(expected):
        raise ValueError(
            f"{name} has shape {tuple(array.shape)} but {because}: expected "
            f"{tuple(expected)}"
        )


def check_count(name, n, least=1):
    """Refuse what is no whole number, or is too small (ValueError)."""
    if not isinstance(n, Integral) or isinstance(n, bool) or n < least:
        raise ValueError(f"{name} must be a whole number from {least} up, got {n!r}")


def check_choice(name, value, choices):
    """Refuse a value that is not one of a few (ValueError)."""
    if value not in choices:
        known = ", ".join(map(repr, choices))
        raise ValueError(f"{name} must be one of {known}, got {value!r}")
