"""Translators of every kind, built and trained alike on any translation task."""

from functools import partial

from course_lib.in_torch.recurrent import Seq2Seq
from course_lib.in_torch.recurrent_attention import AttentionSeq2Seq
from course_lib.in_torch.transformer import Transformer
from course_lib.shapes.basic import check_choice
from course_lib.training.devices import seeded
from course_lib.training.loop import fit
from course_lib.training.metrics import (
    accuracy_by_length,
    sequence_correct,
    token_accuracy,
)
from course_lib.training.schedules import linear_to_zero, warm_up_cosine
from course_lib.training.tasks import TASKS
from course_lib.training.translation import greedy_decode, n_words, translation_loss

D_HIDDEN = 96
_TRANSFORMER = {"d_model": 64, "n_heads": 4, "n_layers": 2, "d_ff": 256}
# Each is called with the sizes of the two vocabularies.
MODELS = {
    "transformer": partial(Transformer, **_TRANSFORMER),
    "transformer-pre-norm": partial(Transformer, **_TRANSFORMER, norm_first=True),
    "recurrent-bahdanau": partial(
        AttentionSeq2Seq, d_hidden=D_HIDDEN, score="additive", wiring="bahdanau"
    ),
    "recurrent-luong": partial(
        AttentionSeq2Seq, d_hidden=D_HIDDEN, score="general", wiring="luong"
    ),
    "recurrent-vector": partial(Seq2Seq, d_hidden=D_HIDDEN, attention=False),
}


def build_translator(model, task, seed):
    """An untrained translator; its first weights depend on its arguments alone.

    Args:
        model: a name in `MODELS`
        task:  a name in `tasks.TASKS`
        seed:  int
    """
    check_choice("model", model, MODELS)
    source, target = TASKS[task].vocabularies()
    with seeded(seed):
        return MODELS[model](len(source), len(target))


def pace(model, steps):
    """The learning rate and the schedule that suit a model, as `fit` takes them.

    A quarter of a Transformer's run is warm-up; without one, post-norm may not learn.
    """
    if model.startswith("transformer"):
        warm_up = max(1, steps // 4)
        schedule = partial(warm_up_cosine, warm_up=warm_up)
        return {"learning_rate": 2e-3, "schedule": schedule}
    return {"learning_rate": 8e-3, "schedule": linear_to_zero}


def train_translator(model, task, seed, steps, device, **options):
    """Train a translator on a task and measure it.

    Args:
        model, task, seed: as for `build_translator`; the seed decides the batches too
        steps:   int
        device:  torch.device
        options: of `fit`

    Returns:
        the trained model, its losses, and what `measure_translator` says of it.
    """
    translator = build_translator(model, task, seed).to(device)
    losses = fit(
        translator,
        partial(TASKS[task].batch_at, seed),
        translation_loss,
        steps,
        count_of=n_words,
        **pace(model, steps),
        **options,
    )
    return translator, losses, measure_translator(translator, task)


def measure_translator(translator, task):
    """How well it translates the test pairs of its task.

    Returns:
        a dict: sequences and words, the shares that are right, and by_length, the share
        of right sequences in each bin of lengths.
    """
    task = TASKS[task]
    pairs = task.test_pairs()
    n_target = pairs.target.shape[1]
    predicted, _ = greedy_decode(translator, pairs.source, pairs.source_mask, n_target)
    correct = sequence_correct(predicted, pairs.target)
    return {
        "sequences": float(correct.mean()),
        "words": token_accuracy(predicted, pairs.target),
        "by_length": accuracy_by_length(correct, pairs.length, task.bins),
    }
