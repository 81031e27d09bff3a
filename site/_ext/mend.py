"""What the theme's templates leave out for readers who do not see the page.

Each entry mends one finding of axe-core: what the template says (a regular
expression), what we say.
"""

import re

import icons
import light
import publish

REPAIRS = (
    # The visible text names the wide search button; a label of its own hid part of it.
    (r'(search-button-field [^>]*?) title="Search" aria-label="Search"', r"\1"),
    # The button has a name; its icons' titles gave it three more.
    (r'(<i class="theme-switch [^>]*?) +title="[^"]*"', r'\1 aria-hidden="true"'),
    # The course's name above the table of contents stood in no landmark.
    (
        '<div id="pst-primary-sidebar" ',
        '<div id="pst-primary-sidebar" role="region" aria-label="Course" ',
    ),
    # The arrow that unfolds a chapter had no name.
    (
        '<summary><span class="toctree-toggle"',
        '<summary aria-label="Pages of this chapter"><span class="toctree-toggle"',
    ),
    # Folded code says what it is; a label of its own hid that.
    ('<summary aria-label="Toggle hidden content">', "<summary>"),
)


def mend(page):
    """The page's HTML with every repair made, its icons drawn, and its head light."""
    for found, better in REPAIRS:
        page = re.sub(found, better, page)
    return light.lighten(icons.draw(page))


def mend_templates(app):
    """Have Sphinx mend each page as it is written."""
    templates = app.builder.templates
    render = templates.render

    def render_and_mend(name, context):
        page = mend(render(name, context))
        if context.get("pagename") == publish.NOT_FOUND:
            page = publish.make_absolute(page, app.config.html_baseurl)
        return page

    templates.render = render_and_mend
