"""The one Sphinx extension of the book: all glue between Jupyter Book and the course.

Scripts, fonts and formulas come from site/vendor/ and never from another host. The
repository's address comes from pyproject.toml, or from the environment in a fork's CI.
"""

import os
import re
import tomllib
from hashlib import sha256
from pathlib import Path

import facts
import figures
import formulas
import launch
import library
import light
import marks
import mend
import places
import publish
import terms

ROOT = Path(__file__).resolve().parents[2]
STATIC = [ROOT / "site" / name for name in ("vendor/page", "css", "js", "pictures")]


def repository():
    """The repository's address, without a slash at its end."""
    name = os.environ.get("GITHUB_REPOSITORY", "")
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        return f"{server.rstrip('/')}/{name}"
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]["urls"]["Repository"].rstrip("/")


def configure(app, config):
    """Point Jupyter Book at our own files and at the repository."""
    config.nb_ipywidgets_js = {}  # site/js/widgets.js does it without the manager
    config.html_math_renderer = "course"
    config.html_baseurl = publish.address(repository())
    config.html_additional_pages[publish.NOT_FOUND] = "404.html"
    config.html_theme_options.update(
        repository_url=repository(),
        repository_branch=os.environ.get("COURSE_BRANCH", "main"),
        use_repository_button=True,
        use_issues_button=True,
        navbar_persistent=[],  # the theme draws a second search box otherwise
    )
    remove_thebe(app)


def remove_thebe(app):
    """Take out sphinx-thebe: Jupyter Book always loads it, and it needs a network."""
    for listeners in app.events.listeners.values():
        listeners[:] = [
            each for each in listeners if each.handler.__module__ != "sphinx_thebe"
        ]
    app.registry.css_files[:] = [
        file for file in app.registry.css_files if file[0] != "sphinx-thebe.css"
    ]


def add_static(app):
    """Publish our files, after Jupyter Book has put what it found on every page."""
    app.config.html_static_path += [str(folder) for folder in STATIC]
    app.add_css_file(formulas.STYLES, priority=890)
    app.add_css_file("course.css", priority=900)
    app.add_js_file("course.js", defer="defer")


def fill_page(app, pagename, templatename, context, doctree):
    """Give the page its starting colour scheme."""
    context["default_mode"] = "auto"


def digest():
    """What changes when a file of ours does: then every page is to be made anew."""
    folders = ("_ext", "css", "js", "pictures", "templates")
    files = [path for name in folders for path in (ROOT / "site" / name).rglob("*.*")]
    ours = sorted(path for path in files if path.suffix != ".pyc")
    return sha256(b"".join(path.read_bytes() for path in ours)).hexdigest()


def setup(app):
    """Connect the parts to Sphinx."""
    app.add_config_value("course_extension", digest(), rebuild="env")
    app.connect("config-inited", configure, priority=100)
    app.connect("builder-inited", add_static)
    app.connect("builder-inited", mend.mend_templates)
    app.connect("doctree-resolved", marks.mark)
    app.connect("doctree-resolved", marks.list_references)
    app.connect("html-page-context", fill_page, priority=900)
    places.connect(app)
    launch.connect(app)
    facts.setup(app)
    figures.setup(app)
    formulas.setup(app)
    publish.setup(app)
    library.connect(app)
    terms.setup(app)
    app.connect("build-finished", light.publish, priority=900)
    marks.colour_code()
    return {"parallel_read_safe": True, "parallel_write_safe": True, "version": "1"}
