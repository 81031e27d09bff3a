"""Checks of `in_numpy.patches`, its twin, and the models of images."""

from course_lib.shapes.basic import check_array, check_count


def check_image(image, size):
    """Refuse an image that squares of this size do not cover exactly."""
    check_array("image", image, 3)
    check_grid(*image.shape[-3:-1], size)


def check_grid(height, width, size):
    """Refuse a height or width that is no multiple of a patch's side."""
    check_count("size", size)
    for name, pixels in {"height": height, "width": width}.items():
        check_count(name, pixels)
        if pixels % size:
            raise ValueError(
                f"{name} must be a multiple of size, but {name} is {pixels} and size "
                f"is {size}"
            )


def check_patches(patches, height, width, size):
    """Refuse patches that do not make up an image of this height and width."""
    check_array("patches", patches, 2)
    check_grid(height, width, size)
    n_patches, d_patch = patches.shape[-2:]
    expected = (height // size) * (width // size)
    if n_patches != expected or d_patch % size**2:
        raise ValueError(
            f"patches has shape {tuple(patches.shape)} but an image of {height} x "
            f"{width} in squares of {size} has {expected} patches of a multiple of "
            f"{size**2} numbers"
        )
