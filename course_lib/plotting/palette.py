"""The course's colours, in one place: the same for figures, widgets, formulas, pages.

Query is blue, key is orange-red, value is green: the colour-blind can tell them apart,
and each has a contrast of 4.5 : 1 or more. Colour is never the only carrier of meaning.
"""

LIGHT = {
    "query": "#0b5fa5",
    "key": "#a84300",
    "value": "#00704f",
    "ink": "#1d232b",
    "muted": "#5a6572",
    "paper": "#ffffff",
}
DARK = {
    "query": "#7cc0ff",
    "key": "#ffb077",
    "value": "#5fd6a8",
    "ink": "#e6e9ee",
    "muted": "#a4aebb",
    "paper": "#14181d",
}
