"""Library calls that would be answers, as dotted names, in groups for the questions.

A name of the course forbids what is below it too, so a module forbids all that is in
it. A name of another library forbids the same thing under its other names there.
"""


def in_both(*names):
    """The names of a function or module of the course, in NumPy and in PyTorch."""
    halves = ("course_lib.in_numpy", "course_lib.in_torch")
    return tuple(f"{half}.{name}" for name in names for half in halves)


# Weights from scores, or their logarithms.
WEIGHTS = (
    *in_both("ops.softmax", "ops.log_softmax", "tiled.online_softmax"),
    "torch.Tensor.softmax",
    "torch.Tensor.log_softmax",
    "torch.softmax",
    "torch.log_softmax",
    "torch._softmax",
    "torch._log_softmax",
    "torch.nn.Softmax",
    "torch.nn.Softmax2d",
    "torch.nn.Softmin",
    "torch.nn.LogSoftmax",
    "torch.nn.functional.softmin",
    "torch.distributions.Categorical",
    "scipy.special.softmax",
    "scipy.special.log_softmax",
    "sklearn.utils.extmath.softmax",
    "jax.nn.softmax",
    "jax.nn.log_softmax",
    "tensorflow.nn.softmax",
    "tensorflow.nn.log_softmax",
    "tensorflow.keras.activations.softmax",
    "keras.activations.softmax",
    "keras.ops.softmax",
)

# Softmax over the positions that a mask allows.
MASKED = (
    *in_both("ops.masked_softmax"),
    "torch.masked.softmax",
    "torch.masked.log_softmax",
    "torch._masked_softmax",
    "torch._safe_softmax",
    "torch.sparse.softmax",
    "tensorflow.keras.layers.Softmax",
    "keras.layers.Softmax",
)

# Scores, softmax and the average of the values, in one.
ATTENTION = (
    *in_both("attention", "multi_head.multi_head_attention", "wirings.look_back"),
    *in_both("local.local_attention", "local.gaussian_local_attention"),
    *in_both("sliding.sliding_window_attention", "tiled.tiled_attention"),
    "course_lib.in_torch.multi_head.MultiHeadAttention",
    "torch.nn.MultiheadAttention",
    "torch.nn.attention",
    "torch.nn.functional.multi_head_attention_forward",
    "torch.nn.functional.scaled_dot_product_attention",
    "jax.nn.dot_product_attention",
    "tensorflow.keras.layers.Attention",
    "tensorflow.keras.layers.MultiHeadAttention",
    "keras.layers.Attention",
    "keras.layers.MultiHeadAttention",
    "keras.ops.dot_product_attention",
)

# Gradients that nobody had to derive.
GRADIENTS = (
    "torch.Tensor.backward",
    "torch.autograd",
    "torch.func.grad",
    "torch.func.grad_and_value",
    "torch.func.jacfwd",
    "torch.func.jacrev",
    "torch.func.jvp",
    "torch.func.linearize",
    "torch.func.vjp",
    "scipy.differentiate",
    "jax.grad",
    "jax.jacfwd",
    "jax.jacobian",
    "jax.jacrev",
    "jax.jvp",
    "jax.linearize",
    "jax.value_and_grad",
    "jax.vjp",
    "tensorflow.GradientTape",
    "tensorflow.gradients",
)

# A GRU that reads a whole sequence.
GRU = (
    *in_both("recurrent.gru", "recurrent.encoder_decoder"),
    "course_lib.in_torch.recurrent.Encoder",
    "course_lib.in_torch.recurrent.Seq2Seq",
    "torch.gru",
    "torch.nn.GRU",
    "tensorflow.keras.layers.GRU",
    "keras.layers.GRU",
    "flax.linen.RNN",
)
