"""The source of a library function, as the lesson of a cell."""

import inspect


def print_source(function):
    """Print a function as it stands in the library, without its docstring."""
    source = inspect.getsource(function)
    if function.__doc__:
        head, _, body = source.split('"""', 2)
        source = head.rstrip() + body
    print(source.rstrip(), end="\n\n")
