"""Pages that load little: one style sheet with what the book uses, and one script.

The theme and its parts put two dozen files into every page, which wait for each other,
and most of what they say is about things that no page has.
"""

import re
from hashlib import sha256
from pathlib import Path, PurePosixPath
from posixpath import normpath

import purge

STYLES = (  # later ones win
    "basic.css",  # styles/theme.css does no more than ask for it
    "styles/pydata-sphinx-theme.css",
    "pygments.css",
    "styles/sphinx-book-theme.css",
    "copybutton.css",
    "mystnb.*.css",
    "sphinx-design.min.css",
    "formulas.css",
    "fonts.css",
    "colours.css",
    "course.css",
    "landing.css",
    "reading.css",
)
SCRIPTS = (  # in the order in which they need each other
    "documentation_options.js",
    "doctools.js",
    "sphinx_highlight.js",
    "clipboard.min.js",
    "copybutton.js",
    "scripts/bootstrap.js",
    "scripts/pydata-sphinx-theme.js",
    "scripts/sphinx-book-theme.js",
    "course.js",
    "previews.js",
)
UNUSED = (  # icons are drawn, and <details> folds
    "scripts/fontawesome.js",
    "scripts/*.map",
    "styles/*.map",
    "vendor/fontawesome/webfonts/*",
    "styles/theme.css",
    "togglebutton.css",
    "togglebutton.js",
    "design-tabs.js",
)
SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")
INLINE = re.compile(
    r"\s*<script>(?:let toggle|var togglebutton|DOCUMENTATION_OPTIONS\.)[^<]*</script>"
)
STYLE = re.compile(
    r'\s*<link(?=[^>]* rel="stylesheet")[^>]* href="[^"]*?_static/([^"?]+)[^>]*>'
)
SCRIPT = re.compile(r'\s*<script(?P<more>[^>]*?) src="(?P<src>[^"]+)"[^>]*></script>')
PRELOAD = re.compile(r'\s*<link rel="preload" as="script"[^>]*>')
VIEWPORT = re.compile(r'\s*<meta name="viewport"[^>]*>')
SCHEME = re.compile(r'<script data-cfasync="false">.*?</script>', re.DOTALL)
# Before anything is drawn: what the reader chose, else what the system says.
SET_SCHEME = """<script>
    (({ dataset }) => {
      const chosen = localStorage.getItem("mode") || "auto";
      const dark = matchMedia("(prefers-color-scheme: dark)").matches;
      dataset.mode = chosen;
      dataset.theme = chosen !== "auto" ? chosen : dark ? "dark" : "light";
    })(document.documentElement);
  </script>"""
FONTS = ("source-serif-4-latin-wght-normal", "inter-latin-wght-normal")
HEAD = """<meta name="viewport" content="width=device-width, initial-scale=1">
{fonts}
  <link rel="stylesheet" href="{root}_static/site.css?v=0">
  <script defer src="{root}_static/site.js?v=0"></script>
  <link rel="apple-touch-icon" href="{root}_static/icon.png">
  """
FONT = (
    '  <link rel="preload" as="font" type="font/woff2" crossorigin '
    'href="{root}_static/fonts/{name}.woff2">'
)


def lighten(page):
    """The page's HTML with our two files in place of all that they hold."""
    root = re.search(r'data-content_root="([^"]*)"', page)
    if not root:
        return page  # no page of the theme
    searches = "<h1>Search</h1>" in page
    page = INLINE.sub("", PRELOAD.sub("", VIEWPORT.sub("", page)))
    page = STYLE.sub(lambda found: "" if _is_among(found[1]) else found[0], page)
    page = SCRIPT.sub(lambda found: _script(found, searches), page)
    page = SCHEME.sub(SET_SCHEME, page)
    fonts = "\n".join(FONT.format(root=root[1], name=name) for name in FONTS)
    head = HEAD.format(root=root[1], fonts=fonts)
    return page.replace("<title>", f"{head}<title>", 1)


def _is_among(name, names=(*STYLES, *UNUSED)):
    return any(PurePosixPath(name).match(each) for each in names)


def _script(found, searches):
    """A script: in our own, only for the search, or waiting for the page."""
    name = re.sub(r".*_static/|\?.*", "", found["src"])
    if _is_among(name, (*SCRIPTS, *UNUSED)):
        return ""
    if Path(name).name in SEARCH and not searches:
        return ""
    return (
        found[0] if " defer" in found[0] else found[0].replace(" src=", " defer src=")
    )


def publish(app, exception):
    """Write our style sheet and our script, and name their digest in the pages."""
    if exception:
        return
    static = Path(app.outdir, "_static")
    for path in (path for name in UNUSED for path in static.glob(name)):
        path.unlink()
    pages = [path for path in Path(app.outdir).rglob("*.html") if _is_page(path)]
    texts = {path: path.read_text("utf-8") for path in pages}
    js = "\n;\n".join(static.joinpath(name).read_text("utf-8") for name in SCRIPTS)
    js = re.sub(r"^//# sourceMappingURL=.*$", "", js, flags=re.MULTILINE)
    named = set(re.findall(r"_static/([\w-]+\.js)", "".join(texts.values())))
    others = [static.joinpath(name).read_text("utf-8") for name in named - {"site.js"}]
    used = purge.words([*texts.values(), *others, js])
    sheets = [path for name in STYLES for path in sorted(static.glob(name))]
    css = "\n".join(purge.purge(_moved(path, static), used) for path in sheets)
    for name, content in (("site.css", css), ("site.js", js)):
        static.joinpath(name).write_text(content, "utf-8")
        digest = sha256(content.encode()).hexdigest()[:8]
        for path, text in texts.items():
            texts[path] = re.sub(rf"{name}\?v=\w+", f"{name}?v={digest}", text)
    for path, text in texts.items():
        path.write_text(text, "utf-8")


def _is_page(path):
    return "data-content_root" in path.read_text("utf-8")


def _moved(sheet, folder):
    """The text of a style sheet with the addresses that it has from the folder."""
    below = sheet.parent.relative_to(folder).as_posix()
    return re.sub(
        r"url\((['\"]?)(?!data:|#)([^)'\"]+)\1\)",
        lambda found: f"url({normpath(f'{below}/{found[2]}')})",
        sheet.read_text("utf-8"),
    )
