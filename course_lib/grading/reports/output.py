"""How the exports put things out, and what they say when they cannot."""

from contextlib import contextmanager

import click


@contextmanager
def in_one_sentence():
    """Whatever stands in the way of an export is said in one sentence."""
    from course_lib.grading.reports.files import NoSeed, NotAReport
    from course_lib.grading.reports.roster import NotARoster

    try:
        yield
    except (NoSeed, NotAReport, NotARoster) as problem:
        raise click.ClickException(f"{problem}.") from None
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        raise click.ClickException(f"cannot write{where}: {error.strerror}") from None


def put(content, path, mode=0o666):
    """Write a whole file, or print.

    Args:
        content: str or bytes
        path: of the file, None = print
        mode: the file's permissions, less the process's umask
    """
    from course_lib.grading.reports.files import write_whole

    if path:
        write_whole(path, content, mode)
    else:
        # As bytes: a terminal of another encoding still gets the file's content.
        click.echo(content.encode("utf-8", errors="replace"), nl=False)


def printable(text):
    """Text that a terminal shows as it is."""
    return "".join(c if c.isprintable() else " " for c in text)
