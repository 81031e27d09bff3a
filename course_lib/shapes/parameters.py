"""Checks of dicts of parameters: the names in them and the shapes."""

from course_lib.shapes.basic import check_shape


def check_names(parameters, needed, optional=()):
    """Refuse a dict of parameters that lacks a name or has one that nobody reads."""
    missing = [name for name in needed if name not in parameters]
    strange = [name for name in parameters if name not in (*needed, *optional)]
    if missing or strange:
        wrong = f"no {missing[0]}" if missing else f"an unknown {strange[0]}"
        expected = ", ".join(needed)
        if optional:
            expected += f", and if wanted {', '.join(optional)}"
        raise ValueError(f"parameters has {wrong}: expected {expected}")


def check_parameters(parameters, expected, because):
    """Refuse parameters of other shapes. A name that is not there may be missing."""
    for name, shape in expected.items():
        if name in parameters:
            check_shape(name, parameters[name], shape, because)
