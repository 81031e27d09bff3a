"""The one base of the course's widgets."""

from pathlib import Path

import anywidget

FOLDER = Path(__file__).parent


class CourseWidget(anywidget.AnyWidget):
    """A widget made of `<stem>.py`, `<stem>.js` and `<stem>.css`.

    A widget's module cannot import a neighbour, so the shared maths, the shared helpers
    and the `parts` it names are put in front of its own. All data goes to the page when
    the widget is made: it needs no kernel and no network afterwards.
    """

    parts = ()  # stems of further .js files that this widget shares with others

    def __init_subclass__(cls, **kwargs):
        """Read the page's half of a subclass that names its `stem`."""
        if "stem" in cls.__dict__:
            scripts = ("attention_math", "base", *cls.parts, cls.stem)
            cls._esm = "".join(_text(f"{name}.js") for name in scripts)
            cls._css = _text("base.css") + _text(f"{cls.stem}.css")
        super().__init_subclass__(**kwargs)

    def __repr__(self):
        """The name alone: an address in memory would change with every notebook run."""
        return f"{type(self).__name__}()"


def _text(name):
    return (FOLDER / name).read_text(encoding="utf-8")
