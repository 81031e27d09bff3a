"""Hard attention: each query takes one value, and learns although a choice is a jump.

Xu et al. 2015, arXiv:1502.03044, section 4.1, for the patches of an image. Every score
is computed here, so a choice saves no time, but it says exactly what was looked at.
"""

import numpy as np

from course_lib.in_numpy.attention import attend_backward
from course_lib.in_numpy.ops import log_softmax, masked_softmax, softmax_backward
from course_lib.shapes.basic import check_mask, check_positive, check_scores
from course_lib.shapes.hard import (
    check_average,
    check_choice_and_loss,
    check_hard,
    check_learned_baseline,
    check_like_scores,
)


def choose(scores, mask=None):
    """The best allowed position of each row as one-hot weights; of equals, the first.

    Args:
        scores: (..., n)
        mask:   broadcasts to (..., n), bool, True = may be chosen. None = all may.

    Returns:
        weights (..., n), one 1 in each row, or none where nothing is allowed.
    """
    check_scores("scores", scores)
    check_mask(mask, scores.shape)
    allowed = np.broadcast_to(True if mask is None else mask, scores.shape)
    best = np.where(allowed, scores, -np.inf).argmax(axis=-1)
    one_hot = np.arange(scores.shape[-1]) == best[..., None]  # (..., n)
    return (one_hot & allowed).astype(scores.dtype)


def attend_hard(scores, value, mask=None, noise=None):
    """Each query takes one value: the best, or with Gumbel noise a random one.

    The largest of scores + noise is a sample from softmax(scores): the Gumbel-max
    trick; see Jang, Gu and Poole 2017, arXiv:1611.01144, section 2.

    Args:
        scores: (..., n_q, n_k)
        value:  (..., n_k, d_v)
        mask:   broadcasts to (..., n_q, n_k), bool, True = may attend. None = all may.
        noise:  (..., n_q, n_k), rng.gumbel(size=scores.shape). None = take the best.

    Returns:
        output (..., n_q, d_v) and one-hot weights (..., n_q, n_k). A query that may
        attend to nothing chooses nothing and gets zeros.
    """
    check_hard(scores, value, mask, noise)
    noisy = scores if noise is None else scores + noise.astype(scores.dtype)
    weights = choose(noisy, mask)
    return weights @ value, weights


def attend_hard_backward(d_output, weights, value):
    """Gradients of `attend_hard`: what was chosen learns, the scores learn nothing.

    A small change of the scores changes no choice, so their gradient is zero. The two
    ways around that are `score_function_gradient` and `attend_straight_through`.

    Args:
        d_output: (..., n_q, d_v)
        weights:  (..., n_q, n_k), as they came out
        value:    (..., n_k, d_v)

    Returns:
        d_scores (..., n_q, n_k), all zero, and d_value, of value's own shape.
    """
    _, d_value = attend_backward(d_output, weights, value)
    return np.zeros_like(weights), d_value


def log_probability(scores, weights, mask=None):
    """How likely each choice was: log softmax(scores) at the chosen position.

    Args:
        scores:  (..., n_q, n_k)
        weights: (..., n_q, n_k), one-hot, as from `attend_hard`
        mask:    broadcasts to (..., n_q, n_k), bool. None = all may be chosen.

    Returns:
        (..., n_q), zero where nothing could be chosen.
    """
    check_like_scores("weights", weights, scores, mask)
    allowed = scores
    if mask is not None:
        some = np.atleast_1d(mask).any(axis=-1, keepdims=True)
        allowed = np.where(some, np.where(mask, scores, -np.inf), 0)
    return np.where(weights == 1, log_softmax(allowed), 0).sum(axis=-1)


def log_probability_backward(d_log_probability, scores, weights, mask=None):
    """Gradient of `log_probability` with respect to the scores: one-hot - softmax.

    Args:
        d_log_probability: (..., n_q)
        the others: as they went in

    Returns:
        d_scores (..., n_q, n_k), zero at masked positions.
    """
    probability = masked_softmax(scores, mask)
    return d_log_probability[..., None] * (weights - probability)


def score_function_gradient(scores, weights, loss, mask=None, baseline=0.0):
    """Estimate the gradient of the expected loss from one choice: REINFORCE.

    (loss - baseline) times the gradient of log p(choice). Its mean over choices is the
    gradient of `expected_loss`, whatever the baseline, as long as the baseline does not
    look at the choice; a good one makes the estimates differ less.
    Williams 1992, "Simple statistical gradient-following algorithms ...".

    Args:
        scores:   (..., n_q, n_k)
        weights:  (..., n_q, n_k), one-hot: a sample from `attend_hard` with noise
        loss:     (..., n_q), what each choice led to
        mask:     broadcasts to (..., n_q, n_k), bool. None = all may be chosen.
        baseline: a number, or one for each loss (..., n_q)

    Returns:
        d_scores (..., n_q, n_k).
    """
    check_choice_and_loss(scores, weights, loss, mask, baseline)
    return log_probability_backward(loss - baseline, scores, weights, mask)


def moving_average(average, loss, decay=0.9):
    """The next baseline of all examples: mostly the old one, and a little of the loss.

    Xu et al. 2015, section 4.1, with their decay of 0.9.

    Args:
        average: a number, the baseline so far
        loss:    array of any shape, whose mean counts; an empty one changes nothing
        decay:   number from 0 up and below 1, the share of the old average

    Returns:
        the new average, a number.
    """
    check_average(average, loss, decay)
    if loss.size == 0:
        return average
    return decay * average + (1 - decay) * loss.mean()


def baseline_error(baseline, loss):
    """What a learned baseline makes small: its mean squared distance from the loss.

    A value for each example, computed from the example and not from the choice.
    Mnih and Gregor 2014, arXiv:1402.0030, call it input-dependent.

    Args:
        baseline: (...), one value for each loss
        loss:     (...), taken as given: it gets no gradient from here

    Returns:
        error, a number; 0.0 for no examples.
    """
    check_learned_baseline(baseline, loss)
    return ((baseline - loss) ** 2).sum() / max(loss.size, 1)


def baseline_error_backward(baseline, loss):
    """Gradient of `baseline_error` with respect to the baseline.

    Args: as for `baseline_error`.

    Returns:
        d_baseline (...).
    """
    return 2 * (baseline - loss) / max(loss.size, 1)


def attend_straight_through(scores, value, noise, mask=None, temperature=1.0):
    """A hard choice forwards, and the gradient of a soft one backwards.

    Forwards this is `attend_hard` with noise. The gradient is taken as if the weights
    had been softmax((scores + noise) / temperature): biased, but never zero.
    Jang, Gu and Poole 2017, arXiv:1611.01144, section 2.2; the soft weights are also
    those of Maddison, Mnih and Teh 2017, arXiv:1611.00712.

    Args:
        scores, value, noise, mask: as for `attend_hard`, the noise always given
        temperature: positive number

    Returns:
        output (..., n_q, d_v) and one-hot weights (..., n_q, n_k).
    """
    check_positive("temperature", temperature)
    check_like_scores("noise", noise, scores, mask)
    return attend_hard(scores, value, mask, noise)


def attend_straight_through_backward(
    d_output, scores, value, noise, mask=None, temperature=1.0
):
    """Gradients of `attend_straight_through`: two kinds of weights, two gradients.

    The value learns through the hard weights, the scores through the soft ones.

    Args:
        d_output: (..., n_q, d_v)
        the others: as they went in

    Returns:
        d_scores and d_value, each of the shape of its input; the noise is given.
    """
    noisy = scores + noise.astype(scores.dtype)
    hard, soft = choose(noisy, mask), masked_softmax(noisy / temperature, mask)
    _, d_value = attend_backward(d_output, hard, value)
    d_scores, _ = attend_backward(d_output, soft, value)
    return d_scores / temperature, d_value


def expected_loss(scores, losses, mask=None):
    """The exact mean of the loss over all choices, where one can afford to try them.

    Args:
        scores: (..., n_q, n_k)
        losses: (..., n_q, n_k), the loss if a query chooses this position
        mask:   broadcasts to (..., n_q, n_k), bool. None = all may be chosen.

    Returns:
        (..., n_q): sum_i softmax(scores)_i losses_i; 0 where nothing can be chosen.
    """
    check_like_scores("losses", losses, scores, mask)
    return (masked_softmax(scores, mask) * losses).sum(axis=-1)


def expected_loss_backward(d_expected, scores, losses, mask=None):
    """Gradients of `expected_loss`: a position gains what it is better than the mean.

    Args:
        d_expected: (..., n_q)
        the others: as they went in

    Returns:
        d_scores and d_losses, both (..., n_q, n_k).
    """
    probability = masked_softmax(scores, mask)
    d_losses = d_expected[..., None] * probability
    return d_expected[..., None] * softmax_backward(losses, probability), d_losses
