"""What other sites and visitors of wrong addresses get: previews, sitemap, 404 page.

All of it needs the site's full address. That follows from the repository's: it is where
GitHub Pages puts the site of a repository.
"""

import re
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes

NOT_FOUND = "404"
DESCRIPTION_LENGTH = 155  # what search engines show
PICTURE = "social.png"  # of tools/pictures.py
PICTURE_SAYS = "The words of a question, and over each a bar as high as its weight"
RELATIVE = re.compile(r'\b(href|src|action)="(?!\w+:|/|#)(?:\./)?([^"]*)"')


def address(repository):
    """The address at which GitHub Pages shows a repository's site, with a / at its end.

    Args:
        repository: its address, "https://github.com/owner/name"
    """
    owner, name = urlsplit(repository).path.strip("/").split("/")
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def fill_head(app, pagename, templatename, context, doctree):
    """Add to a page's head its description, and what a link to it shows elsewhere."""
    given, text = context.get("metatags") or "", describe(doctree)
    base = app.config.html_baseurl
    facts = {
        "og:type": "website" if pagename == app.config.root_doc else "article",
        "og:site_name": app.config.html_title or app.config.project,
        "og:title": re.sub("<[^>]+>", "", context.get("title", "")),
        "og:description": text,
        "og:url": f"{base}{pagename}.html",
        "og:image": f"{base}_static/{PICTURE}",
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:image:alt": PICTURE_SAYS,
    }
    tags = ['<meta name="twitter:card" content="summary_large_image">']
    if text and 'name="description"' not in given:
        tags.append(f'<meta name="description" content="{escape(text)}">')
    for name, content in facts.items():
        tags.append(f'<meta property="{name}" content="{escape(content)}">')
    context["metatags"] = given + "\n    ".join(tags if doctree else ())


def describe(doctree):
    """The page's first paragraph without formulas, cut at a word."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree else ():
        text = " ".join(paragraph.astext().split())
        if not any(paragraph.findall(nodes.math)) and len(text.split()) > 5:
            if len(text) <= DESCRIPTION_LENGTH:
                return text
            return text[:DESCRIPTION_LENGTH].rsplit(" ", 1)[0] + " …"
    return ""


def make_absolute(page, base):
    """A page whose links work wherever it is shown: a server shows it for any address.

    Args:
        page: HTML
        base: the site's address
    """
    path = urlsplit(base).path
    page = page.replace('data-content_root="./"', f'data-content_root="{path}"')
    return RELATIVE.sub(rf'\1="{path}\2"', page)


def write_lists(app, exception):
    """Write sitemap.xml and robots.txt."""
    if exception:
        return
    base, out = app.config.html_baseurl, Path(app.outdir)
    names = sorted(app.env.found_docs)
    urls = "".join(f"<url><loc>{base}{name}.html</loc></url>\n" for name in names)
    out.joinpath("sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n'
    )
    robots = f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n"
    out.joinpath("robots.txt").write_text(robots)


def setup(app):
    """Connect the parts to Sphinx."""
    app.connect("html-page-context", fill_head, priority=900)
    app.connect("build-finished", write_lists)
