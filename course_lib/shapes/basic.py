"""What most checks are made of: arrays, whole numbers, sizes, masks, batch axes."""

from numbers import Integral, Real


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


def check_one_kind(**arrays):
    """Refuse NumPy arrays and PyTorch tensors in one call (TypeError); None is fine."""
    kinds = {
        name: "PyTorch tensor" if "torch" in str(array.dtype) else "NumPy array"
        for name, array in arrays.items()
        if array is not None
    }
    first = next(iter(kinds))
    for name, kind in kinds.items():
        if kind != kinds[first]:
            raise TypeError(
                f"{first} is a {kinds[first]} but {name} is a {kind}: convert one of "
                "them first"
            )


def check_matrix(name, array):
    """Refuse an array that has not exactly two axes (ValueError)."""
    check_array(name, array)
    if len(array.shape) != 2:
        raise ValueError(
            f"{name} must have exactly 2 axes, but its shape is {tuple(array.shape)}"
        )


def check_floats(name, array):
    """Refuse an array of whole numbers, of which PyTorch takes no softmax."""
    check_array(name, array)
    if "float" not in str(array.dtype):
        raise TypeError(
            f"{name} must hold floating-point numbers, but its dtype is {array.dtype}"
        )


def check_integers(name, array):
    """Refuse an array that does not hold whole numbers."""
    check_array(name, array)
    if "int" not in str(array.dtype):
        raise TypeError(f"{name} must hold integers, but its dtype is {array.dtype}")


def check_scores(name, scores):
    """Refuse scores that are whole numbers, or with nothing to choose from."""
    check_array(name, scores, 1)
    check_floats(name, scores)
    if scores.shape[-1] == 0:
        raise ValueError(
            f"{name} must have at least one entry along the last axis, but its shape "
            f"is {tuple(scores.shape)}"
        )


def check_same(name, size, other_name, other_size, what):
    """Refuse two sizes that have to be equal (ValueError)."""
    if size != other_size:
        raise ValueError(f"{name} has {size} {what} but {other_name} has {other_size}")


def fit(shape, other_shape):
    """Whether arrays of these shapes broadcast against each other."""
    pairs = zip(reversed(shape), reversed(other_shape), strict=False)
    return all(a == b or 1 in (a, b) for a, b in pairs)


def broadcasts(shape, to_shape):
    """Whether an array of the first shape broadcasts to the second."""
    aligned = zip(reversed(shape), reversed(to_shape), strict=False)
    return len(shape) <= len(to_shape) and all(m in (1, s) for m, s in aligned)


def check_boolean(name, mask):
    """Refuse a mask that is not boolean (TypeError)."""
    check_array(name, mask)
    if str(mask.dtype) not in ("bool", "torch.bool"):
        raise TypeError(
            f"{name} must be boolean (True = may attend), but its dtype is {mask.dtype}"
        )


def check_mask(mask, scores_shape):
    """Refuse a mask that is not boolean or does not broadcast to the scores."""
    if mask is None:
        return
    check_boolean("mask", mask)
    mask_shape, scores_shape = tuple(mask.shape), tuple(scores_shape)
    if not broadcasts(mask_shape, scores_shape):
        raise ValueError(
            f"mask has shape {mask_shape}, which does not broadcast to the scores' "
            f"shape {scores_shape}"
        )


def check_batch(name, shape, other_name, other_shape):
    """Refuse leading (batch) axes that do not broadcast against each other."""
    if not fit(shape[:-2], other_shape[:-2]):
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


def check_positive(name, number):
    """Refuse what is no positive number (ValueError)."""
    if not isinstance(number, Real) or not number > 0:
        raise ValueError(f"{name} must be a positive number, got {number!r}")


def check_choice(name, value, choices):
    """Refuse a value that is not one of a few (ValueError)."""
    if value not in choices:
        known = ", ".join(map(repr, choices))
        raise ValueError(f"{name} must be one of {known}, got {value!r}")
