"""The libraries that read published files, imported when a model is loaded."""

from importlib import import_module

from course_lib.pretrained.files import MissingWeights


def import_reader(name):
    """A module that reads weights or tokenisers, or one sentence (MissingWeights)."""
    try:
        return import_module(name)
    except ModuleNotFoundError as missing:
        raise MissingWeights(
            f"reading published weights needs {missing.name}: run "
            "`pip install 'attention-course[pretrained]'`"
        ) from None
