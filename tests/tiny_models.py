"""Models small enough to train in a blink, and batches for them."""

import numpy as np
import torch

from course_lib.data.digits import DIGITS, reversed_digits
from course_lib.in_torch.recurrent import Seq2Seq


def tiny(seed=0, attention=True, d_hidden=5):
    """A model of reversed digits, small enough to train in a blink."""
    torch.manual_seed(seed)
    return Seq2Seq(len(DIGITS), len(DIGITS), d_hidden, attention)


def batch_at(step, n=7):
    """A batch of short strings of digits, each with its reversal."""
    return reversed_digits(n, [1, 2, 3], "train", np.random.default_rng([0, step]))


class Dropping(torch.nn.Module):
    """A model that draws random numbers while it trains, as dropout does."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)
        self.dropout = torch.nn.Dropout(0.5)


def drop_loss(model, batch):
    """A loss for `Dropping`."""
    return model.layer(model.dropout(batch)).square().sum()


def parameters(model):
    """What a model has learnt, copied."""
    return [parameter.detach().clone() for parameter in model.parameters()]
