"""Checks of `in_numpy.positions` and its twin."""

from course_lib.shapes.basic import check_array, check_count, check_shape


def check_places(n, start):
    """Refuse a number of positions, or a first one, that is no whole number."""
    check_count("n", n, 0)
    check_count("start", start, 0)


def check_even(name, d):
    """Refuse a number of features that cannot be paired."""
    check_count(name, d)
    if d % 2:
        raise ValueError(f"{name} must be even, because features pair up, got {d}")


def check_table(table, n, start):
    """Refuse to look up more positions than the table has."""
    check_array("table", table, 2)
    check_places(n, start)
    if start + n > table.shape[0]:
        raise ValueError(
            f"table has {table.shape[0]} positions but {start + n} were asked for"
        )


def check_rotation(x, angles):
    """Refuse angles that are not one for each position and pair of features."""
    check_array("x", x, 2)
    if "float" not in str(x.dtype):
        raise TypeError(f"x must hold floats, but its dtype is {x.dtype}")
    n, d_head = x.shape[-2:]
    check_even("d_head", d_head)
    because = f"x has {n} positions and {d_head} features"
    check_shape("angles", angles, (n, d_head // 2), because)


def check_window(n_heads, n_q, n_k):
    """Refuse numbers of heads, queries and keys that no bias can be made for."""
    check_count("n_heads", n_heads)
    check_count("n_q", n_q, 0)
    check_count("n_k", n_k, n_q)  # the queries are the last of the keys' positions
