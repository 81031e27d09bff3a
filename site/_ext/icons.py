"""The theme's icons as small drawings in the page, instead of a script of all icons.

The theme loads half a megabyte of Font Awesome and draws each `<i class="fa-...">` when
the page is there. Here the build draws them, from the same file.
"""

import re
from functools import cache
from importlib.resources import files

SCRIPT = "theme/pydata_sphinx_theme/static/scripts/fontawesome.js"
PLACE = re.compile(r'<(i|span) class="([^"]*\bfa-[^"]*)"([^>]*)></\1>')
SETS = {  # class: what the script calls this set of icons
    "fa-brands": "fab",
    "fab": "fab",
    "fa-regular": "far",
    "far": "far",
    "fa-solid": "fas",
    "fas": "fas",
}


def draw(page):
    """The page's HTML with every icon drawn."""
    return PLACE.sub(_drawing, page)


def _drawing(place):
    classes, attributes = place[2].split(), place[3]
    name_of_set = next((SETS[name] for name in classes if name in SETS), "fas")
    found = [shape(name_of_set, name) for name in classes if name not in SETS]
    if not any(found):
        raise LookupError(f"the theme has no icon for {place[0]}")
    width, height, path = next(filter(None, found))
    if "aria-hidden" not in attributes:
        attributes += ' aria-hidden="true"'
    return (
        f'<svg class="svg-inline--fa {" ".join(classes)}"{attributes} '
        f'viewBox="0 0 {width} {height}"><path fill="currentColor" d="{path}"/></svg>'
    )


@cache
def shape(name_of_set, name):
    """(width, height, path) of the icon that a class names; None if it names none."""
    name = re.escape(name.removeprefix("fa-"))
    # The name comes first in the pattern: that is what makes the search fast.
    entry = rf'{name}(?<![\w-]{name})"?:\[(\d+),(\d+),\[[^]]*\],"\w+","([^"]+)"\]'
    found = re.search(entry, sets()[name_of_set])
    return found and found.groups()


@cache
def sets():
    """The text of each set of icons: in the script, `f("fas", icons)` follows it."""
    script = files("pydata_sphinx_theme").joinpath(SCRIPT).read_text("utf-8")
    brands, rest = script.split('("fab",', maxsplit=1)
    regular, rest = rest.split('("far",', maxsplit=1)
    solid, _ = rest.split('("fas",', maxsplit=1)
    return {"fab": brands, "far": regular, "fas": solid}
