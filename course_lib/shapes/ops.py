"""Checks of `in_numpy.ops` and its twin."""

from course_lib.shapes.basic import check_array, check_mask, check_scores


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
