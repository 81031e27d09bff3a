"""Questions with points: `check` at once, `attention-course grade` later."""

__all__ = ["NotYet", "check"]


def __getattr__(name):
    """`check` and `NotYet` bring NumPy; the command line starts without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from course_lib.grading import checking

    return getattr(checking, name)
