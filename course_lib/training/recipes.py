"""What `attention-course train` can train, said without importing PyTorch."""

from dataclasses import dataclass

TRANSLATORS = (
    "transformer",
    "transformer-pre-norm",
    "recurrent-bahdanau",
    "recurrent-luong",
    "recurrent-vector",
)
READERS = (
    "soft",
    "mean",
    "sample",
    "sample-average",
    "sample-learned",
    "straight-through",
)


@dataclass(frozen=True)
class Recipe:
    """A task, as the command line offers it.

    Attributes:
        says:  one sentence about it
        steps: the usual number of training steps of each model that there is, by its
            name, the usual model first
    """

    says: str
    steps: dict[str, int]


# `trainers` has a function of the same name for each.
RECIPES = {
    "numbers": Recipe(
        "Numbers of up to nine digits, from English words to German ones.",
        dict.fromkeys(TRANSLATORS, 500),
    ),
    "digits": Recipe(
        "Strings of digits, written from their end.", dict.fromkeys(TRANSLATORS, 500)
    ),
    "dates": Recipe(
        "Dates in many languages, written as ISO 8601.", dict.fromkeys(TRANSLATORS, 400)
    ),
    "glimpses": Recipe(
        "A digit among clutter, read with one glimpse.", dict.fromkeys(READERS, 500)
    ),
    "winograd": Recipe('What "it" means in a sentence.', {"pointer": 300}),
    "shapes": Recipe(
        "Pictures of two shapes, drawn from captions or read.",
        {"denoiser": 3000, "stream": 1000, "vision": 300},
    ),
    "text": Recipe(
        "The documentation of Python: the next token, or hidden ones.",
        {"gpt": 1000, "bert": 1000},
    ),
}
