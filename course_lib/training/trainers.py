"""One function for each recipe: it trains, and says what the model can do.

All take the same arguments: the name of a model, a seed, the number of steps, a device,
and options of `loop.fit`. All return half a sentence with what was measured.
"""

from functools import partial

from course_lib.training import glimpses as reading
from course_lib.training import shapes as drawing
from course_lib.training import text as writing
from course_lib.training import winograd as pointing
from course_lib.training.loop import fit
from course_lib.training.tasks import TASKS, TESTED
from course_lib.training.translators import train_translator


def numbers(model, seed, steps, device, **options):
    """Number words from English to German."""
    return _translate("single", model, seed, steps, device, options)


def digits(model, seed, steps, device, **options):
    """Strings of digits from their end."""
    return _translate("digits", model, seed, steps, device, options)


def dates(model, seed, steps, device, **options):
    """Dates in many languages as ISO 8601."""
    return _translate("dates", model, seed, steps, device, options)


def glimpses(model, seed, steps, device, **options):
    """A digit among clutter; the model is the kind of glimpse."""
    reader = reading.build_model(model, seed).to(device)
    batch_at = partial(reading.batch_at, seed)
    fit(reader, batch_at, reading.glimpse_loss, steps, **options)
    measured = reading.measure(reader)
    return (
        f"{measured['accuracy']:.3f} of {reading.TESTED} digits right, "
        f"{measured['found']:.3f} found"
    )


def winograd(model, seed, steps, device, **options):
    """What "it" means; there is one model."""
    measured = pointing.train(seed, steps, device, **options)
    flips = _in_words(measured["flips"])
    return f"{measured['accuracy']:.3f} of sentences right; pairs of twins: {flips}"


def shapes(model, seed, steps, device, **options):
    """Captions and pictures of shapes; the model is one of `shapes.KINDS`."""
    trained = drawing.train(model, seed, steps, device, **options)
    parts = (
        f"{split.replace('_', ' ')} captions: {_in_words(trained[split])}"
        for split in ("seen", "held_out")
    )
    return "; ".join(parts)


def text(model, seed, steps, device, **options):
    """The documentation of Python; the model is "gpt" or "bert"."""
    *_, measured = writing.train(model, seed, steps, device, **options)
    if model == "gpt":
        return f"{measured:.3f} bits for each character of unseen text"
    return f"{measured:.3f} of hidden tokens right in unseen text"


def _in_words(shares):
    return ", ".join(f"{name} {share:.3f}" for name, share in shares.items())


def _translate(task, model, seed, steps, device, options):
    *_, measured = train_translator(model, task, seed, steps, device, **options)
    by_length = ", ".join(
        f"{first}-{last}: {share:.2f}"
        for (first, last), share in zip(
            TASKS[task].bins, measured["by_length"], strict=True
        )
    )
    return f"{measured['sequences']:.3f} of {TESTED} sequences right ({by_length})"
