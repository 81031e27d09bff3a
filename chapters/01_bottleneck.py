# %% [markdown]
# # The fixed-size bottleneck
#
# **The question.** What is lost when a whole sentence has to fit into one vector?
#
# **You need** Python, the chain rule, and no knowledge of recurrent networks. **Time:**
# about 60 minutes, and about 95 for the exercises. **Level:** first steps.
#
# Somebody reads a telephone number to you, and you have to say it backwards. Four
# digits are easy. Twenty are hopeless, and being clever does not help. With pencil and
# paper, any length is easy again: you write the digits down and look back at them.
#
# Before attention, a network that translated was you without the paper. It read the
# whole sentence, kept *one* vector of fixed size, and wrote the translation from that
# vector alone. In this chapter we build such a network, measure where it fails, and
# hand it the paper.

# %%
import matplotlib.pyplot as plt
import numpy as np

from course_lib.plotting import bin_names, print_source, show, use_course_style

use_course_style()
rng = np.random.default_rng(0)

# %% [markdown]
# ## Reading, one word at a time
#
# A **recurrent network** reads a sequence from left to right. It keeps a **state** $h$,
# a vector of $d_h$ numbers, and each word $x_t$ changes it a little:
#
# $$h_t = f(h_{t-1}, x_t)$$
#
# The same $f$ is used at every step. We take the **gated recurrent unit**, or GRU, of
# [Cho et al. (2014)](https://arxiv.org/abs/1406.1078). It makes a candidate for the new
# state, and two gates with values between 0 and 1. The update gate $z$ decides how much
# of the old state stays. The reset gate $r$ decides how much of the old state the
# candidate may see:
#
# $$
# \begin{aligned}
# r &= \sigma(W_{xr}\, x + b_{xr} + W_{hr}\, h + b_{hr}) \\
# z &= \sigma(W_{xz}\, x + b_{xz} + W_{hz}\, h + b_{hz}) \\
# \tilde{h} &= \tanh(W_{xn}\, x + b_{xn} + r \odot (W_{hn}\, h + b_{hn})) \\
# h' &= z \odot h + (1 - z) \odot \tilde{h}
# \end{aligned}
# $$
#
# Here $\sigma(s) = 1 / (1 + e^{-s})$ squashes a number into the range from 0 to 1,
# $\odot$ multiplies entry by entry, $\tilde{h}$ is the candidate and $h'$ the new
# state. The $W$ and $b$ are learnt. In code the three matrices for $x$ stand on top of
# each other in `W_x`, those for $h$ in `W_h`, and the biases likewise. That is
# PyTorch's order, and PyTorch's place for $r$; the paper multiplies $r$ with $h$ before
# the product.


# %%
def sigmoid(score):
    """Squash any number into the range from 0 to 1."""
    return 0.5 * (1 + np.tanh(0.5 * score))


def gru_cell(x, state, W_x, W_h, b_x, b_h):
    """One step of a GRU: a mix of the old state and a candidate."""
    x_r, x_z, x_n = np.split(x @ W_x.T + b_x, 3, axis=-1)
    h_r, h_z, h_n = np.split(state @ W_h.T + b_h, 3, axis=-1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)  # (..., d_h), reset and update
    candidate = np.tanh(x_n + r * h_n)
    return z * state + (1 - z) * candidate


# %% [markdown]
# > **Predict first.** If all entries of $z$ are 1, what is the new state? And if all
# > are 0?
#
# With $z = 1$ the state passes through untouched: the word is ignored. With $z = 0$ the
# state is replaced by the candidate. A trained GRU sits in between, separately for each
# of its $d_h$ numbers, and chooses anew at every word.

# %%
d_h, d_x = 3, 2
W_x, W_h = rng.standard_normal((3 * d_h, d_x)), rng.standard_normal((3 * d_h, d_h))
state, x = rng.standard_normal(d_h), rng.standard_normal(d_x)
keep = np.repeat([0.0, 100.0, 0.0], d_h)  # a large bias on the update gate: z = 1
kept = gru_cell(x, state, W_x, W_h, keep, np.zeros(3 * d_h))
print("old state:", state.round(3), " new state:", kept.round(3))
assert np.allclose(kept, state)

# %% [markdown]
# ## One vector, whatever the length
#
# The **encoder** is a GRU that reads the sentence. Its last state is all that the
# **decoder** gets. The decoder is a second GRU: it starts from that vector and writes
# one word at each step, until it writes an end sign.
#
# > **Predict first.** We encode 3, 30 and 300 words with $d_h = 3$. How many numbers
# > does the decoder receive each time?

# %%
from course_lib.in_numpy import gru

zero_bias = np.zeros(3 * d_h)
for n_words in (3, 30, 300):
    sentence = rng.standard_normal((n_words, d_x))
    states = gru(sentence, np.zeros(d_h), W_x, W_h, zero_bias, zero_bias)
    vector = states[-1]  # (d_h,)
    print(f"{n_words:3} words -> states {states.shape}, vector {vector.shape}")
    assert vector.shape == (d_h,)

# %% tags=["hide-input"]
from course_lib.plotting import draw_seq2seq

fig, (above, below) = plt.subplots(
    2, 1, figsize=(6.4, 4), gridspec_kw={"height_ratios": [1.4, 2.4]}
)
draw_seq2seq(above, attention=False)
above.set_title("through one vector", loc="left")
draw_seq2seq(below, attention=True)
below.set_title("with attention", loc="left")
show(
    fig,
    alt="Two diagrams. In the first, the words seventy and three pass through two "
    "encoder states into one vector, from which three decoder states write drei, und, "
    "siebzig. In the second, arrows also lead from each encoder state to each decoder "
    "state.",
)

# %% [markdown]
# The same three numbers for 3 words and for 300. In the upper picture everything that
# the decoder will ever know about the source crosses that one box. This design is due
# to [Cho et al. (2014)](https://arxiv.org/abs/1406.1078) and
# [Sutskever, Vinyals and Le (2014)](https://arxiv.org/abs/1409.3215).
#
# In the lower picture the decoder may also look back at every state of the encoder.
# That is attention. How it looks is the subject of chapter 2; here we only need to know
# that it can.
#
# **Takeaway.** The encoder's vector does not grow with the sentence. Its states do, and
# without attention the decoder never sees them.

# %% [markdown]
# ## Learning backwards through time
#
# To train the encoder, the gradient of the loss has to travel back through every step.
# This is **backpropagation through time**: the chain rule, once for each word, from the
# last to the first. At step $t$ the gradient of the state goes two ways, into the
# weights and into the state before:
#
# $$dh_{t-1} = \left(\frac{\partial h_t}{\partial h_{t-1}}\right)^{\!\top} dh_t$$
#
# So the first word's gradient is a product of as many factors as there are words. The
# library's version adds up the weights' share on the way.
#
# <details>
# <summary>Derivation: one step of the GRU, backwards</summary>
#
# Write $g = dh'$ for what arrives at the new state $h' = z \odot h + (1 - z) \odot
# \tilde{h}$. It goes to the three things that $h'$ is made of:
#
# $$
# dz = (h - \tilde{h}) \odot g, \qquad d\tilde{h} = (1 - z) \odot g, \qquad
# \text{and } z \odot g \text{ straight to } h
# $$
#
# Then through the squashing. The slope of $\tanh$ is $1 - \tanh^2$, that of $\sigma$ is
# $\sigma (1 - \sigma)$. With $a_n$, $a_z$ and $a_r$ for what stood inside,
#
# $$
# \begin{aligned}
# da_n &= (1 - \tilde{h}^2) \odot d\tilde{h} \\
# da_z &= z \odot (1 - z) \odot dz \\
# da_r &= r \odot (1 - r) \odot (W_{hn}\, h + b_{hn}) \odot da_n
# \end{aligned}
# $$
#
# The last line is there because $r$ multiplies $W_{hn}\, h + b_{hn}$ inside $a_n$. The
# old state went four ways into the step, so four gradients come back and add up:
#
# $$
# dh = z \odot g + W_{hz}^\top da_z + W_{hr}^\top da_r + W_{hn}^\top (r \odot da_n)
# $$
#
# If $z$ is near 1, nearly all of $g$ takes the first way, and nothing shrinks it.
#
# </details>

# %%
from course_lib.in_numpy import gru_backward

print_source(gru_backward)

# %% [markdown]
# We derived that by hand, so we check it: nudge each input a little in both directions,
# see how the loss changes, and compare.

# %%
sentence = rng.standard_normal((5, d_x))
d_last = rng.standard_normal(d_h)
weights = (W_x, W_h, zero_bias, zero_bias)


def loss(sentence):
    """A number whose gradient with respect to the last state is d_last."""
    return d_last @ gru(sentence, np.zeros(d_h), *weights)[-1]


states = gru(sentence, np.zeros(d_h), *weights)
d_states = np.zeros_like(states)
d_states[-1] = d_last  # the loss sees the last state only
d_sentence = gru_backward(d_states, sentence, np.zeros(d_h), *weights, states)[0]

# %%
for index in np.ndindex(sentence.shape):
    nudge = np.zeros_like(sentence)
    nudge[index] = 1e-6
    slope = (loss(sentence + nudge) - loss(sentence - nudge)) / 2e-6
    assert abs(slope - d_sentence[index]) < 1e-8
print("the gradient of each of", sentence.size, "inputs is right to within 1e-8")

# %% [markdown]
# > **Predict first.** We encode 40 words with fresh random weights. How much does the
# > last state still depend on the first word, compared with the last one: as much, a
# > tenth, or less than a thousandth?

# %%
d_h, n_words, n_nets = 32, 40, 20
reach = np.zeros((n_nets, n_words))
for net in range(n_nets):
    size = 1 / np.sqrt(d_h)  # the range from which PyTorch draws a GRU's weights
    shapes = (3 * d_h, d_h), (3 * d_h, d_h), 3 * d_h, 3 * d_h
    drawn = [rng.uniform(-size, size, shape) for shape in shapes]
    sentence = rng.standard_normal((n_words, d_h))
    states = gru(sentence, np.zeros(d_h), *drawn)
    d_states = np.zeros_like(states)
    d_states[-1] = rng.standard_normal(d_h)
    d_x = gru_backward(d_states, sentence, np.zeros(d_h), *drawn, states)[0]
    reach[net] = np.linalg.norm(d_x, axis=-1)
reach /= reach[:, -1:]

# %% tags=["hide-input"]
distance = np.arange(n_words)[::-1]
fig, ax = plt.subplots(figsize=(5.2, 2.7))
ax.semilogy(distance, reach.T, color="0.8", linewidth=0.8)
ax.semilogy(distance, np.median(reach, axis=0), color="C3")
ax.set(xlabel="words between this one and the end", ylabel="size of the gradient")
show(
    fig,
    alt="Size of the gradient of a word against its distance from the end, on a "
    "logarithmic scale, for 20 untrained networks. All fall on nearly straight lines, "
    "from 1 at the last word to below one in a million 39 words earlier.",
)
print(f"first word against last: {np.median(reach[:, 0]):.0e}")
assert np.median(reach[:, 0]) < 1e-5

# %% [markdown]
# A straight line on this scale means that each step multiplies the gradient by about
# the same factor below 1. At the start of training the first word of a long sentence is
# all but invisible. The gates can learn to keep things longer, with $z$ near 1, but
# they have to discover that from a signal which hardly reaches them. With attention
# there is a second way, and it is one step long from any word.
#
# **Takeaway.** The way back through time shrinks with each word.

# %% [markdown]
# ## Two tasks that can be measured
#
# A real translator fails for many reasons. To study one of them we take tasks in which
# sentences differ in little but their length.
#
# - **Digits.** Say a string of digits backwards.
# - **Lists.** Translate a list of numbers below 1,000 from English words to German
#   words. German swaps tens and ones: "seventy three" is "drei und siebzig". (We write
#   German compounds as separate words.)

# %%
from course_lib.data.digits import DIGITS, reversed_digits
from course_lib.data.number_words import number_lists, number_vocabulary

english, german = number_vocabulary("en"), number_vocabulary("de")
lists = number_lists(2, [2], "train", np.random.default_rng(1))
digits = reversed_digits(2, [6], "train", np.random.default_rng(1))
for pairs, source, target in ((lists, english, german), (digits, DIGITS, DIGITS)):
    for row in range(2):
        print(" ".join(source.decode(pairs.source[row])))
        print("   ->", " ".join(target.decode(pairs.target[row])))

# %% [markdown]
# We count a sequence as right only if *every* word is right: **sequence accuracy**.
# Half a telephone number is no use. Training and test never share a sequence.
#
# ### One run, live
#
# PyTorch's GRU has the same weights in the same order as ours, so we first check that
# ours is its equal. Then we train two translators that say digits backwards, each with
# $d_h = 32$, on 1 to 16 digits, for the same 500 steps. The only difference is whether
# the decoder may look back, which takes two more matrices.
#
# > **Predict first.** Write down what you expect for 13 to 16 digits: the sequence
# > accuracy with one vector, and with attention.

# %% tags=["torch"]
import torch

torch.set_num_threads(1)
twin = torch.nn.GRU(d_h, d_h, batch_first=True, dtype=torch.float64)
theirs = [parameter.detach().numpy() for parameter in twin.parameters()]
ours = gru(sentence, np.zeros(d_h), *theirs)
output, _ = twin(torch.tensor(sentence)[None])
assert np.allclose(ours, output.detach().numpy()[0], rtol=0, atol=1e-10)
print("our GRU and nn.GRU agree over", n_words, "steps")

# %% tags=["torch"]
from course_lib.training.bottleneck import Run, build_model, measure
from course_lib.training.loop import fit
from course_lib.training.tasks import TASKS
from course_lib.training.translation import translation_loss

task = TASKS["digits"]
live = {}
for attention in (False, True):
    run = Run("digits", hidden=32, seed=0, attention=attention)
    model = build_model(run)
    fit(model, lambda step: task.batch_at(0, step), translation_loss, run.steps)
    live[attention] = measure(model, run)["sequence_accuracy"]

# %% tags=["torch"]
print("digits     ", "   ".join(f"{name:>5}" for name in bin_names(task.bins)))
for attention, accuracy in live.items():
    name = "attention  " if attention else "one vector "
    print(name, "   ".join(f"{share:5.2f}" for share in accuracy))
assert live[True][3] > live[False][3] + 0.4


# %% tags=["torch"]
def n_parameters(task, hidden, attention):
    """How many numbers a model learns."""
    model = build_model(Run(task, hidden, seed=0, attention=attention))
    return sum(weight.numel() for weight in model.parameters())


for name in ("digits", "lists"):
    print(f"{name:7} d_h = 32: {n_parameters(name, 32, False):7,} one vector")
    print(f"{name:7} d_h = 32: {n_parameters(name, 32, True):7,} attention")
    print(f"{name:7} d_h = 96: {n_parameters(name, 96, False):7,} one vector")
    assert n_parameters(name, 96, False) > 6 * n_parameters(name, 32, True)

# %% [markdown]
# The last column, 17 to 20 digits, lies beyond the lengths that either has seen. Both
# do badly there: attention removes the bottleneck, but this decoder has not learnt to
# go further than it was shown.
#
# Look at the row of the single vector. It does not get every length a little wrong.
# Most short strings are right, and there is an edge beyond which nothing is.

# %% [markdown]
# ## Where the edge lies
#
# One run proves little. So here are many: both tasks, three sizes of the state, three
# seeds each, and for each model either one budget of training or five. One budget is
# 500 steps for digits and 400 for lists, of 64 pairs each. Digits were trained on
# lengths from 1 to 16, lists on 1 to 4 numbers, and both are tested on one bin beyond.
# The results are committed beside the library, each with the command that made it.

# %%
from course_lib.training.committed import read_results

results = read_results("bottleneck")
print(len(results), "runs, for example:")
print(results[0]["command"])
budgets = {run["task"]: run["steps"] for run in results if run["budget"] == 1}
trained = {run["task"]: run["trained_lengths"] for run in results}
assert budgets == {"digits": 500, "lists": 400}
assert trained["digits"] == [1, 16] and trained["lists"] == [1, 4]


def runs(task, hidden, attention, budget):
    """The seeds of one setting."""
    wanted = {"task": task, "hidden": hidden, "attention": attention, "budget": budget}
    wanted["reverse_source"] = False
    return [run for run in results if wanted.items() <= run.items()]


# %% tags=["hide-input"]
from course_lib.plotting import draw_accuracy

sizes, names = (32, 64, 96), {"digits": "digits", "lists": "numbers in the list"}
fig, axes = plt.subplots(2, 3, figsize=(7.4, 4.6), sharey=True)
for row, (name, label) in zip(axes, names.items(), strict=True):
    for ax, hidden in zip(row, sizes, strict=True):
        draw_accuracy(ax, runs(name, hidden, True, 1))
        draw_accuracy(ax, runs(name, hidden, False, 5))
        draw_accuracy(ax, runs(name, hidden, False, 1), linestyle=":")
        ax.set(xlabel=label, title=f"$d_h = {hidden}$")
    row[0].set(ylabel="sequence accuracy")
fig.legend(
    axes[0, 0].lines,
    ["attention, 1 budget", "one vector, 5 budgets", "one vector, 1 budget"],
    loc="outside upper center",
    ncols=3,
)
show(
    fig,
    alt="Sequence accuracy against length in six panels, two tasks by three sizes of "
    "the state. With attention the curves stay high over all trained lengths and drop "
    "beyond. With one vector they start high and fall to near zero within the trained "
    "lengths; five times the training and larger states move the fall to the right.",
)


# %%
def longest_trained(runs):
    """Accuracy in the longest bin trained on, one number for each seed."""
    assert len(runs) == 3
    return [run["sequence_accuracy"][-1][-2] for run in runs]


print("longest trained bin: worst seed with attention, best with one vector")
for name in names:
    for hidden in sizes:
        worst = min(longest_trained(runs(name, hidden, True, 1)))
        best = max(longest_trained(runs(name, hidden, False, 5)))
        print(f"{name:7} d_h = {hidden:2}:   {worst:.2f} against {best:.2f}")
        assert worst > best + 0.2
    small = longest_trained(runs(name, 32, True, 1))
    large = longest_trained(runs(name, 96, False, 5))
    assert min(small) > max(large) + 0.2

# %% [markdown]
# The solid lines have attention and one budget of training. The dashed ones have a
# single vector, the same size of state, and *five* budgets; the dotted ones have one.
# Bands run from the worst seed to the best. The grey strip is beyond the lengths
# trained on.
#
# Read each dashed line from left to right: it comes down *inside* the trained lengths,
# on lists almost at once. Then compare panels. A larger state moves the edge to the
# right. So does more training, from dotted to dashed. The edge moves, and it stays an
# edge. In the longest trained bin attention is ahead by more than 20 points in every
# seed, on both tasks and at every size, with a fifth of the training. Nor is it the two
# extra matrices that do it: the *smallest* model with attention is that far ahead of
# the *largest* one without, which has more than six times its parameters.
#
# The grey strip is a warning. Beyond what it was trained on, attention falls too, on
# lists to nothing. It takes away the bottleneck. It does not teach a model to go on.
#
# **Takeaway.** With one vector, accuracy has an edge, and you pay for each step
# outwards in size and in training.

# %% [markdown]
# ### Try it
#
# The explorer holds the committed runs, with examples of what each model wrote.
#
# > **Predict first.** Choose digits, the largest state and five budgets. Look at
# > strings of 13 to 16 digits that the single vector gets wrong. What kind of mistake
# > do you expect: digits made up, digits left out, or the right digits in the wrong
# > order?

# %%
from course_lib.widgets import BottleneckExplorer

BottleneckExplorer(results)

# %% [markdown]
# Did you expect that? Let us count it over the examples that are stored for these runs.

# %%
wrong = [
    (example["target"].split(), example["predicted"].split())
    for run in runs("digits", 96, False, 5)
    for example in run["examples"]
    if example["target"] != example["predicted"] and 9 <= example["length"] <= 16
]


def neighbours_swapped(target, predicted):
    """Whether swapping two neighbours of the target gives the prediction."""
    places = range(len(target) - 1)
    swaps = [target[:i] + target[i : i + 2][::-1] + target[i + 2 :] for i in places]
    return predicted in swaps


n_swapped = sum(neighbours_swapped(*answer) for answer in wrong)
print(f"{n_swapped} of {len(wrong)} wrong answers have two neighbours swapped")
assert n_swapped > len(wrong) / 2

# %% [markdown]
# Most of these mistakes are a pair of neighbours that changed places. This vector has
# not lost the digits. It has blurred *where* they were. (These are a handful of stored
# examples of the largest model. Smaller ones make cruder mistakes: look at them.)
#
# ## Is the vector too small?
#
# It is tempting to say: of course, a sentence does not *fit*. Let us count. A string of
# $n$ random digits holds $n \log_2 10$ bits. A state of $d_h$ numbers in float32 could
# hold $32\, d_h$ bits.
#
# > **Predict first.** How many digits would fit into $d_h = 32$ numbers, if every bit
# > could be used?

# %%
bits_per_digit = np.log2(10)
for n_digits in (4, 16, 20):
    print(f"{n_digits:2} digits: {n_digits * bits_per_digit:5.1f} bits")
print(f"32 numbers: {32 * 32} bits, room for {int(32 * 32 / bits_per_digit)} digits")
assert 20 * bits_per_digit < 67 and int(32 * 32 / bits_per_digit) == 308

# %% [markdown]
# Twenty digits need 66.4 bits, and there is room for more than a thousand. The bound of
# information theory is real, and it is nowhere near. So the vector is not too small to
# *hold* the digits. What fails is *learning to pack them in and to unpack them again*,
# with gradients that fade on the way.
#
# How much does get through? A model that is right on a share $a$ of strings of $n$
# digits must have carried at least about $a\, n \log_2 10$ bits through its vector.
# (Fano's inequality makes this exact, and takes off at most one bit.) We take the best
# bin of each setting.


# %%
def bits_recovered(run):
    """Accuracy times length times bits per unit of length, in the best bin."""
    accuracy = np.array(run["sequence_accuracy"][-1])
    shortest = np.array([low for low, _ in run["bins"]])
    return (accuracy * shortest * run["bits_per_length"]).max()


# %%
print("bits through one vector, mean of 3 seeds, and for each number of the state")
for name, hidden in [(name, hidden) for name in names for hidden in sizes]:
    for budget in (1, 5):
        group = runs(name, hidden, attention=False, budget=budget)
        bits = np.mean([bits_recovered(run) for run in group])
        print(f"{name:7} d_h = {hidden:2}, {budget} x budget:", end=" ")
        print(f"{bits:4.1f} bits, {bits / hidden:.2f} each")
        assert bits / hidden < 2

# %% [markdown]
# Training for five times as long carries more bits through the same vector, and so does
# a larger vector. None carries even two bits for each number of its state, where a
# float32 has 32. "The vector is full" is the wrong picture. "Nobody has learnt to fill
# it" is closer.

# %% [markdown]
# ## What if we train for longer?
#
# If it is learning that fails, more learning should help. Here is a case in which it
# does: *one* number of three to nine digits, from English to German, through one vector
# of 96 numbers. Nine digits are 30 bits. All these lengths were trained on.
#
# > **Predict first.** Will nine digits be learnt in 2,000 steps, or do they hit an
# > edge?

# %% tags=["hide-input"]
single = [run for run in results if run["task"] == "single"]
fig, ax = plt.subplots(figsize=(5.2, 2.8))
steps = single[0]["at_step"]
accuracy = np.array([run["sequence_accuracy"] for run in single])  # (seed, step, bin)
for bin, style in zip(range(accuracy.shape[-1]), ["-", "--", ":"], strict=True):
    name = bin_names(single[0]["bins"])[bin]
    ax.plot(
        steps, accuracy[:, :, bin].mean(axis=0), f"{style}o", color="C3", label=name
    )
ax.set(xlabel="training steps", ylabel="sequence accuracy", ylim=(-0.03, 1.03))
ax.legend(title="digits")
show(
    fig,
    alt="Sequence accuracy against training steps, from 400 to 2,000, for single "
    "numbers of 3 to 5, 6 to 7 and 8 to 9 digits. The short ones are learnt first. The "
    "longest start near 0.02 and are still rising above 0.8 at the end.",
)
print("longest bin, mean of 3 seeds:", accuracy[:, :, -1].mean(axis=0).round(2))
assert accuracy[:, 0, -1].max() < 0.1 and accuracy[:, -1, -1].mean() > 0.7

# %% [markdown]
# No edge here, only patience. After 400 steps hardly one long number is right. After
# 2,000 most are, and the curve still rises. Thirty bits can be packed into one vector
# by a network this small. So never say that a fixed vector *cannot* do it. Say what it
# cost.

# %% [markdown]
# ## The trick of 2014: read the source backwards
#
# [Sutskever, Vinyals and Le (2014)](https://arxiv.org/abs/1409.3215) had no attention.
# They reversed the words of every *source* sentence and reported that it helped
# markedly: the first source word then stands next to the first target word, so some of
# the ways that the gradient has to travel become short.
#
# > **Predict first.** Will it help on lists of numbers? And on digits, which are to be
# > written backwards anyway?

# %%
plain = runs("lists", 64, False, 5)
flipped = [run for run in results if run["reverse_source"]]
for name, group in (("as it is", plain), ("reversed", flipped)):
    mean = np.mean([run["sequence_accuracy"][-1] for run in group], axis=0)
    print(f"source {name}: ", "  ".join(f"{share:.2f}" for share in mean))

# %% [markdown]
# On these lists we see no clear gain: the seeds differ more from each other than the
# two ways of reading do. That does not contradict the paper. Its sentences were longer
# and its networks far larger. And for digits to be said backwards, the *unreversed*
# source is the one with short ways: the last digit read is the first one written. A
# trick that depends on the order of the words is not a cure.

# %% [markdown]
# ## What the first papers saw
#
# The edge was seen at once in real translation. Cho et al.
# ([2014b](https://arxiv.org/abs/1409.1259)) found that a fixed vector does well on
# short sentences and gets worse quickly as they grow. Bahdanau, Cho and Bengio then
# let the decoder look back, and compared both on the same data. Their models were
# trained on sentences of up to 30 or up to 50 words.

# %%
from course_lib.data.quoted import quoted

table = quoted("bahdanau2015-bleu")
print(table["source"])
print(table["what"])
for name, bleu in table["values"].items():
    print(f"{name:22} {bleu:.2f}")
assert table["values"]["RNNsearch-30"] > table["values"]["RNNencdec-50"]

# %% [markdown]
# BLEU scores a translation against human ones; higher is better. "RNNencdec" is the
# fixed vector, "RNNsearch" has attention. Look at the second and the third row:
# attention trained on *short* sentences beats the fixed vector trained on longer ones.
# (These are the paper's numbers as two independent summaries give them.) The paper's
# figure 2 draws the score against the length of the sentence. By one summary's account
# the fixed vector's curve collapses, and that of RNNsearch-50 does not fall.
#
# Not everybody saw the edge. Sutskever and his colleagues report that their much larger
# network had no trouble with long sentences. That fits what we measured: the edge moves
# with size and training. It is not a law that a vector cannot do it. It is a price.

# %% [markdown]
# ## What we know now
#
# - An encoder-decoder without attention passes one vector of fixed size, whatever the
#   length of the sentence.
# - On both tasks its accuracy falls within the lengths it was trained on, on lists to
#   nothing and on digits to a third or less. The same model with attention holds there,
#   with a fifth of the training.
# - The edge moves out with the size of the state and with training. On these tasks and
#   budgets it did not go away.
# - The vector has room for many times more bits than it carries. What is hard is to
#   learn to use it.
# - Attention gives the decoder the states of all words, and the gradient a short way.
#
# **What would make this false?** One seed in which the single vector, with five
# budgets, comes within 20 points of attention in the longest trained bin: the notebook
# asserts that there is none. Or a larger state or a longer training for which the edge
# moves past every length that you care about. Ours are small and short, so that they
# fit on one core, and all share one learning rate, which may suit one model better than
# another. Try a larger one: `attention-course train bottleneck --help`.
#
# **Exercises.** [Six questions](../exercises/01_bottleneck.ipynb), graded where you
# stand: a GRU step, the encoder, backpropagation through time, accuracy by length, the
# bound on bits, and the reversed source. **Next:** [how attention looks
# back](02_query_key_value.ipynb).
#
# **Further reading.**
#
# - [Cho et al. (2014)](https://arxiv.org/abs/1406.1078): the GRU, and an
#   encoder-decoder built of two.
# - [Sutskever, Vinyals and Le (2014)](https://arxiv.org/abs/1409.3215): the same idea
#   with large LSTMs and a reversed source.
# - [Bahdanau, Cho and Bengio (2015)](https://arxiv.org/abs/1409.0473): the end of the
#   bottleneck. Look at their figure 2.
