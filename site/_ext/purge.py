"""Style sheets without the rules that can meet nothing in the book."""

import re

import tinycss2

# Put together from parts by the theme's script: no file names them.
MADE_BY_SCRIPTS = ("bs-tooltip-",)
UNUSED = re.compile("@font-face[^}]*(Font ?Awesome|FontAwesome)|@import|@charset")
OPTIONS = {"skip_comments": True, "skip_whitespace": True}


def words(texts):
    """All that could be the name of a class, an id or an element in the texts."""
    return {word for text in texts for word in re.findall(r"[\w-]+", text)}


def purge(css, used):
    """A style sheet with the rules whose every name is among the words used.

    Too much may stay: any word counts, wherever it stands. Fonts of icons are left out.
    """
    return _kept(tinycss2.parse_stylesheet(css, **OPTIONS), used)


def _kept(rules, used):
    parts = []
    for rule in rules:
        if rule.type == "qualified-rule":
            parts.append(_rule(rule, used))
        elif rule.type == "at-rule" and rule.at_keyword in ("media", "supports"):
            inner = _kept(tinycss2.parse_rule_list(rule.content, **OPTIONS), used)
            head = f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}"
            parts.append(inner and f"{head}{{{inner}}}")
        elif rule.type == "at-rule" and not UNUSED.search(text := _text(rule)):
            parts.append(text)
    return "\n".join(filter(None, parts))


def _text(rule):
    return tinycss2.serialize([rule])


def _rule(rule, used):
    selectors = [
        tinycss2.serialize(selector).strip()
        for selector in _selectors(rule.prelude)
        if all(_is_used(name, used) for name in _names(selector))
    ]
    content = tinycss2.serialize(rule.content)
    return selectors and f"{','.join(selectors)}{{{content}}}"


def _selectors(prelude):
    """The parts of a rule's head between its commas, as lists of tokens."""
    parts = [[]]
    for token in prelude:
        if token.type == "literal" and token.value == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _names(selector):
    """The classes, ids and elements that a selector asks for; not what it excludes."""
    before = None
    for token in selector:
        is_pseudo = before is not None and before.type == "literal" and before == ":"
        if token.type == "hash" or token.type == "ident" and not is_pseudo:
            yield token.value
        before = token


def _is_used(name, used):
    return name in used or name in ("html", "root") or name.startswith(MADE_BY_SCRIPTS)
