"""The one base of the course's widgets."""

from html import escape
from pathlib import Path

import anywidget

FOLDER = Path(__file__).parent


class CourseWidget(anywidget.AnyWidget):
    """A widget made of `<stem>.py`, `<stem>.js` and `<stem>.css`.

    A widget's module cannot import a neighbour, so the shared maths, the shared helpers
    and the `parts` it names are put in front of its own. All data goes to the page when
    the widget is made: it needs no kernel and no network afterwards. A subclass says in
    `static` what stands in its place on paper and where scripts do not run.

    Attributes:
        stem:  the name of its three files
        name:  its class in the page, and its name in a link: `?name.trait=value`
        parts: stems of further .js files that this widget shares with others
    """

    parts = ()

    def __init_subclass__(cls, **kwargs):
        """Read the page's half of a subclass that names its `stem`."""
        if "stem" in cls.__dict__:
            scripts = ("attention_math", "base", "link", *cls.parts, cls.stem)
            cls._esm = "".join(_text(f"{name}.js") for name in scripts)
            cls._css = _text("base.css") + _text(f"{cls.stem}.css")
        super().__init_subclass__(**kwargs)

    def __repr__(self):
        """The name alone: an address in memory would change with every notebook run."""
        return f"{type(self).__name__}()"

    def _repr_mimebundle_(self, **kwargs):
        """The view, and the static form for whoever cannot show it."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return {**data, "text/html": self.static_html()}, metadata

    def static(self):
        """HTML that says what the widget shows now; it needs no style and no script."""
        raise NotImplementedError(f"{type(self).__name__} has no static form")

    def heights(self):
        """Pixels that it will take on a wide screen and on a phone, about.

        A page keeps them free, so that nothing moves when the widget starts.
        """
        return 0, 0

    def static_html(self):
        """The static form in its card."""
        wide, narrow = self.heights()
        style = f"--wide: {wide:.0f}px; --narrow: {narrow:.0f}px"
        card = f'<div class="course-static" data-name="{self.name}" style="{style}">'
        return f"{card}{self.static()}</div>"


def table(caption, header, rows):
    """An HTML table; all text in it is escaped.

    Args:
        caption: what the table holds
        header:  names of the columns
        rows:    lists of texts, one for each column; the first one heads its row
    """
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(text)}</td>" for text in others)
        + "</tr>"
        for first, *others in rows
    )
    return (
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table>"
    )


def _text(name):
    return (FOLDER / name).read_text(encoding="utf-8")
