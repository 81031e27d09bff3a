# %% [markdown]
# # Query, key, value
#
# **The question.** How can a network look something up, and learn *where* to look?
#
# **You need** Python, the dot product and the chain rule, and not chapter 1. **Time:**
# about 50 minutes, and about 100 for the exercises. **Level:** first steps.
#
# Read this sentence: *What is the capital of France?*
#
# You did not give its seven pieces equal care. "Capital" and "France" carry the
# question. "What", "is", "the" and "of" only hold it together. You *attended* to two
# words and let the rest fade, and nobody told you which two.
#
# An **attention mechanism** gives a network the same freedom. It scores every piece of
# its input, turns the scores into weights, and works on with the weighted average. In
# this chapter we build that by hand, make it learn, and find out what it cannot do.

# %%
import matplotlib.pyplot as plt
import numpy as np

from course_lib.plotting import draw_weights, print_source, show, use_course_style

use_course_style()
rng = np.random.default_rng(0)

# %% [markdown]
# ## The file drawer
#
# Picture a filing cabinet.
#
# - You come with a question on a slip of paper: the **query**.
# - Each drawer has a label on its front: the **key**.
# - Each drawer has something inside: the **value**.
#
# You compare your slip with every label, then open the drawer that fits. The label and
# the content are two different things, and that matters: what makes a drawer easy to
# find need not be what you want to take out of it.
#
# Python has this cabinet built in, and it shows at once what is missing.

# %%
cabinet = {"capital": "seat of government", "France": "the French state"}
print(cabinet["capital"])
try:
    cabinet["Capital city"]
except KeyError as miss:
    print("no drawer is labelled", miss)

# %% [markdown]
# A dictionary answers an exact match and refuses everything else. There is no "nearly"
# in it. So there is no way to improve a bad query a little, and a network learns by
# improving things a little.
#
# Attention is a cabinet in which *every* drawer opens: wide if its label fits, a crack
# if it does not. You receive a blend of the contents.
#
# | looking up | in a dictionary | with attention |
# |---|---|---|
# | **query** and **key** | equal or not | more or less alike: a score |
# | which **value** comes out | one | all of them, in proportion |
# | no good match | an error | a vague average |
# | can learn from a mistake | no | yes |
#
# Where do the three come from? In the translators of chapter 1, the query is the
# decoder's current state ("I am about to write a word: what do I need?"). Keys and
# values both come from the encoder, one pair for each word it has read. The idea is due
# to [Bahdanau, Cho and Bengio (2015)](https://arxiv.org/abs/1409.0473). The names
# query, key and value came later. For now we write the vectors ourselves, so that you
# can follow each number.

# %% [markdown]
# ## One lookup by hand
#
# Our sentence has $n_k = 7$ pieces. Each gets a key of $d_k = 2$ numbers: how much does
# it name a *relation*, and how much does it name a *place*? Each also gets a value of
# $d_v = 2$ numbers: does its content speak of *government*, and is it *French*?

# %%
words = ["What", "is", "the", "capital", "of", "France", "?"]
key = np.array(  # (n_k, d_k): relation, place
    [[1, 0], [0, 0], [0, 0], [3, 0], [0, 1], [0, 3], [0, 0]], dtype=float
)
value = np.array(  # (n_k, d_v): government, French
    [[0, 0], [0, 0], [0, 0], [2, 0], [0, 0], [0, 2], [0, 0]], dtype=float
)
query = np.array([1.0, 1.0])  # (d_k,): "which relation, of which place?"

# %% [markdown]
# > **Predict first.** The query asks for relation and place alike. Which words will
# > weigh most? And will "What" weigh more than "is"? Decide before you read on.
#
# **Step 1: scores.** Compare the query with every key. The comparison is a dot product:
# large when both point the same way. We write $s_i$ for the score of position $i$:
#
# $$s_i = q \cdot k_i$$

# %%
scores = key @ query  # (n_k,)
print(dict(zip(words, scores.tolist(), strict=True)))
assert scores.tolist() == [1, 0, 0, 3, 1, 3, 0]

# %% [markdown]
# **Step 2: weights.** Scores can be any number. To share out attention we need numbers
# that are positive and sum to 1. The **softmax** takes the exponential of each score
# and divides by the total. We write $w_i$ for the weight:
#
# $$w_i = \frac{e^{s_i}}{\sum_j e^{s_j}}$$
#
# By hand: $e^3 = 20.09$, $e^1 = 2.72$ and $e^0 = 1$. The total is
# $2 \cdot 20.09 + 2 \cdot 2.72 + 3 \cdot 1 = 48.61$. So "capital" gets
# $20.09 / 48.61 = 0.41$.

# %%
exp = np.exp(scores)
weights = exp / exp.sum()  # (n_k,)
for word, score, weight in zip(words, scores, weights, strict=True):
    print(f"{word:8} score {score:.0f}   weight {weight:.3f}")
assert np.isclose(exp.sum(), 48.61, atol=0.005)
assert np.isclose(weights.sum(), 1)
assert np.allclose(weights.round(2), [0.06, 0.02, 0.02, 0.41, 0.06, 0.41, 0.02])

# %% [markdown]
# "Capital" and "France" get 0.41 each: together 83 % of all there is. "What" fits a
# little and gets 0.06, more than "is" with 0.02. Nothing is ever quite zero.
#
# **Step 3: the weighted sum.** Multiply each value by its weight and add up. This
# amplifies the values with high scores and mutes the others. The result is the
# **context vector** of this query, its *output* $o$:
#
# $$o = \sum_i w_i\, v_i$$
#
# Only two values are not zero here, so it is short work:
# $0.413 \cdot (2, 0) + 0.413 \cdot (0, 2) = (0.83, 0.83)$.

# %%
output = weights @ value  # (d_v,)
print("output:", output.round(2))
assert np.allclose(output, [0.83, 0.83], atol=0.005)
assert np.isclose(weights[3] + weights[5], 0.83, atol=0.005)

# %% tags=["hide-input"]
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(7.2, 2.4), sharey=True)
rows = np.arange(len(words))
left.barh(rows, scores, color="C1")
left.set(title="1  scores", yticks=rows, yticklabels=words)
middle.barh(rows, weights, color="C3")
middle.set(title="2  weights")
for axis, name in enumerate(["government", "French"]):
    shifted = rows + 0.4 * axis - 0.2
    right.barh(shifted, weights * value[:, axis], 0.4, color=["C2", "#8fc7b1"][axis])
    right.text(0.92, 3.1 + 2 * axis, name, va="center", color="C2")
right.set(title="3  weight × value", xlim=(0, 1.6))
left.invert_yaxis()
show(
    fig,
    alt="Three bar charts over the seven words. Scores: capital and France 3, What and "
    "of 1, the rest 0. Weights: capital and France 0.41 each, the others below 0.06. "
    "Weight times value: only capital adds government and only France adds French.",
)

# %% [markdown]
# Read the picture from left to right. The softmax widens the gap: a score of 3 against
# 1 becomes a weight of 0.41 against 0.06. In the last panel only two drawers have
# anything in them, and both were opened wide.
#
# What is the context vector good for? The decoder chooses a word with it. Suppose three
# answers are described by the same two features. We score them against the output,
# with one more dot product.

# %%
answers = {"Paris": [1, 1], "Berlin": [1, -1], "Lyon": [-1, 1]}
fit = {name: float(output @ feature) for name, feature in answers.items()}
print({name: round(score, 2) for name, score in fit.items()})
assert max(fit, key=fit.get) == "Paris" and fit["Paris"] > 1.6

# %% [markdown]
# > **Predict first.** Suppose the query asked for the relation only: $q = (1, 0)$.
# > Which answers are still possible?

# %%
narrow = np.exp(key @ [1, 0])
narrow_output = narrow / narrow.sum() @ value
fit = {name: float(narrow_output @ feature) for name, feature in answers.items()}
print("output:", narrow_output.round(2))
print({name: round(score, 2) for name, score in fit.items()})
assert fit["Paris"] - fit["Berlin"] < 0.2 < fit["Paris"] - fit["Lyon"]

# %% [markdown]
# Paris and Berlin are nearly tied. The output speaks of government and hardly of
# France, because the query did not ask about the place. The values never changed.
# *What* you get out depends on *how* you ask, and each new query gets a context vector
# made for it.
#
# **Takeaway.** Attention is three steps: compare, normalise, average. A fixed set of
# keys and values serves any number of queries.
#
# ### Try it
#
# The calculator holds the example. Any number can be changed.
#
# > **Predict first.** Which single number of the query would you change to make "of"
# > weigh more than "capital"? Can it be done by changing only the key of "of"?

# %%
from course_lib.widgets import QKVCalculator

QKVCalculator(query=query, key=key, value=value, labels=words)

# %% [markdown]
# Lower the first number of the query to $-1$. Now "capital" scores $-3$ and loses to
# "of", but "France" still wins. The key of "of" alone is enough: set it to $(3, 3)$ and
# its score is 6. But its value is $(0, 0)$, so the more it weighs, the less you get
# out. A wrong label on an empty drawer does harm.

# %%
assert (key @ [-1, 1])[[3, 4, 5]].tolist() == [-3, 1, 3]
assert query @ [3, 3] == 6

# %% [markdown]
# ## What comes out is an average
#
# **Claim.** Whatever the query asks, the output never leaves the smallest convex shape
# around the values, their **convex hull**.
#
# The weights are positive and sum to 1, so the output is a weighted mean of the values.
# A mean cannot lie outside of what it averages. With three values in the plane, the
# hull is a triangle.
#
# > **Predict first.** We draw 500 random queries. Where will their outputs lie: spread
# > over the triangle, along its edges, or in its middle?

# %%
corners = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])  # (3, d_v)
three_keys = np.array([[1, 0], [-0.5, 0.87], [-0.5, -0.87]])  # (3, d_k)
clouds = {}
for size in (1, 10):
    exp = np.exp(size * rng.standard_normal((500, 2)) @ three_keys.T)
    cloud_weights = exp / exp.sum(axis=1, keepdims=True)
    clouds[size] = cloud_weights @ corners  # (500, d_v)
    x, y = clouds[size].T
    assert (x >= 0).all() and (y >= 0).all() and (x + y <= 2 + 1e-12).all()

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(6.4, 2.9), sharex=True, sharey=True)
for ax, (size, cloud) in zip(axes, clouds.items(), strict=True):
    ax.fill(*corners.T, color="C2", alpha=0.12)
    ax.scatter(*cloud.T, s=6, color="C3", alpha=0.5, linewidth=0)
    ax.scatter(*corners.T, s=50, color="C2", zorder=3)
    ax.set(title=f"query entries of size about {size}", aspect="equal")
    ax.set(xlabel="output, feature 1")
axes[0].set(ylabel="output, feature 2")
show(
    fig,
    alt="Two triangles with a value at each corner. With small queries the 500 outputs "
    "fill the inside of the triangle. With queries ten times as large nearly all of "
    "them sit on the edges and corners. None is outside.",
)

# %% [markdown]
# Small queries give scores that are nearly equal, and outputs well inside. Large
# queries make up their mind: the outputs move to the edges and into the corners. None
# gets out.
#
# This is the first thing attention cannot do. It can pick and it can blend. It cannot
# make a value longer, turn it round, or answer with something that no drawer holds. A
# network that needs more has to transform the values before the lookup, or the output
# after it. The Transformer does both.
#
# **Takeaway.** The output lies in the convex hull of the values.

# %% [markdown]
# ## How sure to be: the temperature
#
# Large scores made the outputs rush to the corners. One number controls that. Divide
# all scores by a **temperature** $T > 0$ before the softmax:
#
# $$w_i = \frac{e^{s_i / T}}{\sum_j e^{s_j / T}}$$
#
# > **Predict first.** Three keys score 3, 2 and 1. What does the best one get at
# > $T = 1$: a half, two thirds, or nearly all? And at $T = 0.1$?


# %%
def softmax(scores):
    """Weights over the last axis: positive, sum 1."""
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


three_scores = np.array([3.0, 2.0, 1.0])
for temperature in (0.1, 1, 10, 1000):
    shares = softmax(three_scores / temperature)
    print(f"T = {temperature:<6}", "  ".join(f"{share:.5f}" for share in shares))
assert softmax(three_scores)[0].round(2) == 0.67
assert softmax(three_scores / 0.1)[0] > 0.9999
assert np.allclose(softmax(three_scores / 1000), 1 / 3, atol=0.001)

# %% tags=["hide-input"]
temperatures = np.logspace(-1.3, 2, 80)
curves = softmax(three_scores / temperatures[:, None])  # (80, 3)
fig, ax = plt.subplots(figsize=(5, 2.7))
for curve, score, style in zip(curves.T, three_scores, ["-", "--", ":"], strict=True):
    ax.semilogx(temperatures, curve, style, color="C3", label=f"score {score:.0f}")
ax.axhline(1 / 3, color="0.8", linewidth=0.8, zorder=0)
ax.set(xlabel="temperature $T$", ylabel="weight", ylim=(-0.02, 1.02))
ax.legend()
show(
    fig,
    alt="Weights of three keys against temperature. Near T = 0.1 the best key has all "
    "the weight. At T = 1 they have 0.67, 0.24 and 0.09. Towards T = 100 the three "
    "curves meet at one third.",
)

# %% [markdown]
# At $T = 1$ the best key gets 0.67: two thirds. Cold, it takes everything: that is
# **hard attention**, a choice. Hot, all get one third: that is plain averaging, and the
# query no longer matters. In between, attention is **soft**. Nothing about *which* key
# fits best has changed on the way, only how sure we are.
#
# Watch for this number. In chapter 3 we need the cold end and pay for it. In chapter 4
# a temperature appears from nowhere but the width of the vectors, which is why the
# Transformer divides its scores by $\sqrt{d_k}$.
#
# **Takeaway.** $T \to 0$ gives a choice, $T \to \infty$ the plain mean.

# %% [markdown]
# ## When the softmax overflows
#
# The `softmax` above subtracts the largest score first. Why?
#
# > **Predict first.** Add 1000 to all three scores. What happens to the weights on
# > paper? What happens on a computer?

# %%
with np.errstate(over="ignore", invalid="ignore"):
    exp = np.exp(three_scores + 1000)
    print("as written: ", exp / exp.sum())
    assert np.isnan(exp / exp.sum()).all()
print("max removed:", softmax(three_scores + 1000).round(2))
assert np.allclose(softmax(three_scores + 1000), softmax(three_scores))

# %% [markdown]
# On paper nothing happens: adding $c$ to every score multiplies each exponential by
# $e^c$, and the fraction cancels it,
#
# $$\frac{e^{s_i + c}}{\sum_j e^{s_j + c}} = \frac{e^c e^{s_i}}{e^c \sum_j e^{s_j}}$$
#
# On a computer $e^{1003}$ is infinite, and infinity divided by infinity is `nan`: not a
# number. So we choose $c$ ourselves, as minus the largest score. Then the largest
# exponential is $e^0 = 1$, the total is at least 1, and nothing can overflow.
#
# The same cancelling tells you something about attention. **Only differences of scores
# matter.** A key is never relevant by itself, only more or less than the others.
#
# **Takeaway.** Always subtract the maximum. It costs nothing and changes no weight.

# %% [markdown]
# ## Who may be looked at: masks
#
# Sometimes a position must not be seen. Sentences of different length are padded to
# fill one array, and the padding means nothing. A model that writes word by word must
# not peek at the words to come. A **mask** says what is allowed. Here and everywhere in
# this course it is boolean, and `True` means *may attend*.
#
# A masked position must get a weight of exactly zero. $e^{-\infty} = 0$, so we set its
# score to minus infinity.

# %%
may_attend = np.array([True, True, False])
masked_scores = np.where(may_attend, three_scores, -np.inf)
print(softmax(masked_scores).round(2))
assert softmax(masked_scores)[2] == 0
assert np.allclose(softmax(masked_scores)[:2], softmax(three_scores[:2]))

# %% [markdown]
# The other two share everything, as if the third were not there. You will meet code
# that uses a large finite number instead, such as $-10\,000$.
#
# > **Predict first.** What could go wrong with $-10\,000$? Look at the scores below.

# %%
low_scores = np.array([-30_000.0, -30_001.0, 2.0])
leaky = softmax(np.where(may_attend, low_scores, -10_000))
print("finite mask:", leaky)
print("-inf mask:  ", softmax(np.where(may_attend, low_scores, -np.inf)).round(2))
assert leaky[2] == 1

# %% [markdown]
# The forbidden position takes *all* of the weight. Nothing crashes and nothing warns.
# Scores this low are rare, and that makes the bug hard to find. Minus infinity has no
# such case.
#
# It has another: if *every* position is forbidden, the row is all $-\infty$, and
# $-\infty - (-\infty)$ is `nan` again. An empty sentence in a batch is enough to meet
# it. Our rule: a query that may attend to nothing gets zeros, for its output and its
# gradient. The library's softmax with a mask is this.

# %%
from course_lib.in_numpy import masked_softmax

print_source(masked_softmax)
nothing = np.zeros(3, dtype=bool)
assert masked_softmax(three_scores, nothing).tolist() == [0, 0, 0]
assert np.allclose(masked_softmax(three_scores, may_attend), softmax(masked_scores))

# %% [markdown]
# Two masks return in every model. The **padding mask** hides the filler behind short
# sentences. The **causal mask** hides the future: the word at position $i$ may look at
# position $j$ only if $j \le i$.
#
# > **Predict first.** A causal mask for 4 words is a table of 4 rows and 4 columns. How
# > many of its 16 entries are `True`?

# %%
from course_lib.in_numpy import causal_mask, padding_mask

print("causal, 4 words:\n", causal_mask(4).astype(int))
lengths = np.array([2, 4])  # two sentences in one array of 4 columns
print("padding, lengths 2 and 4:\n", padding_mask(lengths, 4)[:, 0].astype(int))
assert causal_mask(4).sum() == 10

# %% [markdown]
# Ten: row $i$ has one more than the row above. Rows are queries and columns are keys,
# as everywhere in this course.
#
# **Takeaway.** Masks are boolean, use $-\infty$, and need a rule for the empty row.

# %% [markdown]
# ## Many queries at once
#
# A decoder asks a new query at each step, and later every word of a sentence will ask
# its own. We stack queries as rows of a matrix $Q$ of shape $(n_q, d_k)$, keys as rows
# of $K$ with shape $(n_k, d_k)$, and values as rows of $V$ with shape $(n_k, d_v)$. All
# scores are then one matrix product, and all outputs another:
#
# $$
# \text{attention}(Q, K, V) = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt{d_k}}\right) V
# $$
#
# This is equation 1 of [Vaswani et al. (2017)](https://arxiv.org/abs/1706.03762),
# called **scaled dot-product attention**. The softmax runs over each row. The division
# by $\sqrt{d_k}$ is a temperature; chapter 4 explains why it is that number.
#
# The library splits it in two: a score, and `attend`, the core that every kind of
# attention in this course shares. Scores go in, output and weights come out.

# %%
from course_lib.in_numpy import attend, scaled_dot_product_attention
from course_lib.in_numpy.scores import dot_scores, scaled_dot_scores

for function in (dot_scores, scaled_dot_scores, attend, scaled_dot_product_attention):
    print_source(function)

# %%
queries = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], dtype=float)  # (n_q, d_k)
outputs, all_weights = scaled_dot_product_attention(
    queries, key, value, temperature=1 / np.sqrt(2)
)
assert outputs.shape == (4, 2) and all_weights.shape == (4, 7)
assert np.allclose(all_weights.sum(axis=-1), 1)
assert np.allclose(outputs[0], output) and np.allclose(outputs[1], narrow_output)

# %% [markdown]
# The first row is our lookup by hand: a temperature of $1/\sqrt{2}$ undoes the division
# by $\sqrt{d_k} = \sqrt{2}$, which we did not do then.

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6.6, 2.3))
draw_weights(ax, all_weights, ["(1, 1)", "(1, 0)", "(0, 1)", "(0, 0)"], words)
ax.set(xlabel="key", ylabel="query")
show(
    fig,
    alt="Heatmap of weights, four queries down and seven words across. Query (1, 1) "
    "puts 0.41 on capital and on France. Query (1, 0) puts 0.72 on capital. Query "
    "(0, 1) puts 0.72 on France. Query (0, 0) puts 0.14 on each word.",
)
assert np.allclose(all_weights[[1, 2], [3, 5]].round(2), 0.72)
assert np.allclose(all_weights[3], 1 / 7)

# %% [markdown]
# Each row is one query and sums to 1. The last one asks nothing: all scores are 0, so
# every word gets one seventh. Pictures like this one come back in every chapter. Read
# them by rows.
#
# **Takeaway.** Two matrix products and a softmax. Nothing waits for anything else, so a
# GPU can do all queries at the same time.

# %% [markdown]
# ## How it learns: the backward pass
#
# We wrote the query by hand. A network has to find it. That works because every step is
# smooth: a small change of the query changes the scores a little, so the weights, so
# the output, so the loss. We follow the change backwards.
#
# Write $dX$ for the gradient of the loss with respect to $X$; it has the shape of $X$.
# The forward pass is $S = QK^\top/\sqrt{d_k}$, then $W = \text{softmax}(S)$, then
# $O = WV$. Given $dO$, there are four steps back.
#
# 1. $dV = W^\top dO$. A value learns from each query that looked at it, in proportion
#    to the weight.
# 2. $dW = dO\, V^\top$. A weight should grow if its value points where the loss wants
#    the output to go.
# 3. $dS = W \circ \bigl(dW - \text{rowsum}(W \circ dW)\bigr)$, where $\circ$ multiplies
#    entry by entry. A score grows if its value is better than the present average.
# 4. $dQ = dS\, K / \sqrt{d_k}$ and $dK = dS^\top Q / \sqrt{d_k}$.

# %% tags=["hide-input"]
from course_lib.plotting import draw_attention_graph

fig, ax = plt.subplots(figsize=(7.4, 3.9))
draw_attention_graph(ax)
show(
    fig,
    alt="Graph of the computation with shapes. Forward: query n_q by d_k and key n_k "
    "by d_k give scores n_q by n_k, softmax gives weights of the same shape, and with "
    "value n_k by d_v they give the output n_q by d_v. Backward, along the same edges, "
    "dO gives dV and dW, dW gives dS, dS gives dQ and dK.",
)

# %% [markdown]
# Each box is an array with its formula and its shape, and below it stands its gradient,
# which has the same shape. Solid arrows run forward, dashed ones carry the gradient
# back. If you forget a formula, the shapes give it back to you.
#
# Step 3 is the only one that is not a plain product, and it hides a saving. The softmax
# of one row turns $n$ scores into $n$ weights, so its Jacobian, the table of all
# derivatives, is $n \times n$: $\text{diag}(w) - w w^\top$. But we never need the
# table, only its product with $dW$, and that product is the short formula of step 3.
#
# <details>
# <summary>Derivation: step 3, from the softmax to the short formula</summary>
#
# Take one row. Its weights are $w_i = e^{s_i} / Z$ with $Z = \sum_j e^{s_j}$, so
# $\log w_i = s_i - \log Z$. Differentiate both sides with respect to $s_j$. The slope
# of $\log Z$ is $e^{s_j} / Z = w_j$. With $\delta_{ij} = 1$ if $i = j$, else 0,
#
# $$
# \frac{1}{w_i} \frac{\partial w_i}{\partial s_j} = \delta_{ij} - w_j,
# \qquad \text{so} \qquad
# \frac{\partial w_i}{\partial s_j} = w_i (\delta_{ij} - w_j)
# $$
#
# These are the entries of $\text{diag}(w) - w w^\top$. Now the chain rule: a score
# moves all the weights, and each weight passes its share of the loss back.
#
# $$
# ds_j = \sum_i dw_i\, w_i (\delta_{ij} - w_j)
# = w_j \Bigl( dw_j - \sum_i w_i\, dw_i \Bigr)
# $$
#
# The sum on the right is the same for every $j$: one number for the row, the average of
# $dw$ under the weights. That is $\text{rowsum}(W \circ dW)$.
#
# </details>


# %%
def attention_backward(d_output, query, key, value, weights):
    """Gradients of scaled dot-product attention, in the four steps above."""
    d_value = weights.T @ d_output  # (n_k, d_v)
    d_weights = d_output @ value.T  # (n_q, n_k)
    average = (weights * d_weights).sum(axis=-1, keepdims=True)  # (n_q, 1)
    d_scores = weights * (d_weights - average) / np.sqrt(query.shape[-1])
    return d_scores @ key, d_scores.T @ query, d_value


row, d_row = all_weights[0], rng.standard_normal(7)
jacobian = np.diag(row) - np.outer(row, row)  # (n_k, n_k)
assert np.allclose(jacobian @ d_row, row * (d_row - row @ d_row))
n = 1000
print(f"n = {n}: all Jacobians hold {n * n * n:,} numbers, the weights {n * n:,}")

# %% [markdown]
# Never trust a gradient that you derived yourself. Nudge every input by a little in
# both directions, see how the loss changes, and compare.


# %%
def numerical_gradient(loss, array, step=1e-6):
    """Central differences of loss() with respect to each entry of array."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = loss()
        array[index] = kept - step
        gradient[index] = (above - loss()) / (2 * step)
        array[index] = kept
    return gradient


# %%
Q, K, V = (rng.standard_normal(shape) for shape in [(3, 2), (5, 2), (5, 7)])
d_output = rng.standard_normal((3, 7))


def loss():
    """A number whose gradient with respect to the output is d_output."""
    return (d_output * scaled_dot_product_attention(Q, K, V)[0]).sum()


gradients = attention_backward(
    d_output, Q, K, V, scaled_dot_product_attention(Q, K, V)[1]
)
for name, array, gradient in zip("QKV", (Q, K, V), gradients, strict=True):
    error = abs(gradient - numerical_gradient(loss, array)).max()
    print(f"d{name} {gradient.shape}: right to within 1e-8: {error < 1e-8}")
    assert error < 1e-8

# %% [markdown]
# ### Let it find the query
#
# Now the payoff. We take our cabinet with its keys and values, forget the query, and
# start from $q = (0, 0)$, which looks at all words alike. The loss is the squared
# distance of the output from what we read by hand: $(0.83, 0.83)$, government and
# French. Nobody says which *words* to look at.
#
# > **Predict first.** After training, will the query be $(1, 1)$ again? Which words
# > will have gained weight, and which will have lost it?

# %%
learned = np.zeros((1, 2))  # (n_q, d_k)
history = []
for _ in range(150):
    out, w = scaled_dot_product_attention(learned, key, value)
    history.append(w[0])
    d_out = 2 * (out - output)
    learned -= 0.5 * attention_backward(d_out, learned, key, value, w)[0]
print("query:", learned.round(2), " output:", out.round(2))
assert np.allclose(out, output, atol=1e-3)
assert np.allclose(learned, np.sqrt(2), atol=0.01)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(5.6, 2.7))
for word, curve in zip(words, np.transpose(history), strict=True):
    strong = word in ("capital", "France")
    ax.plot(curve, "--" if word == "France" else "-", color="C1" if strong else "0.6")
ax.text(60, 0.43, "capital and France", color="C1")
ax.text(60, 0.09, "all the others", color="0.35")
ax.set(xlabel="step of gradient descent", ylabel="weight", ylim=(0, 0.5))
show(
    fig,
    alt="Weight of each word in 150 steps of gradient descent on the query. All start "
    "at one seventh. Capital and France rise together to 0.41, and the other five fall "
    "below 0.06.",
)
assert np.allclose(history[-1][[3, 5]], 0.41, atol=0.005) and history[-1][0] < 0.06

# %% [markdown]
# The query found "capital" and "France" by itself, from nothing but a complaint about
# the output. It is not $(1, 1)$ but $\sqrt{2}$ times that, because the library divides
# the scores by $\sqrt{2}$ and the query makes up for it.
#
# This is what "the network learns where to look" means, and it is why *soft* attention
# took over: each weight is a smooth function, so an ordinary gradient can improve it.
# In a network, $q$, $k$ and $v$ are not free numbers. They are computed from the words
# by matrices, and the gradient goes on into those. Chapter 6 does that.
#
# **Takeaway.** Four short products carry the gradient back. No $n \times n$ Jacobian.

# %% [markdown]
# ## The same in PyTorch
#
# PyTorch runs on GPUs and derives gradients itself. The course's twin has the same
# names and the same arguments. It must also have the same numbers, so we check: against
# our forward pass, our hand-written gradients, and PyTorch's own attention.

# %% tags=["torch"]
import torch
import torch.nn.functional as F

from course_lib import in_torch

torch.set_num_threads(1)
print_source(in_torch.masked_softmax)

# %% tags=["torch"]
tensors = [torch.tensor(array, requires_grad=True) for array in (Q, K, V)]
torch_output, _ = in_torch.scaled_dot_product_attention(*tensors)
torch_output.backward(torch.tensor(d_output))

numpy_output, _ = scaled_dot_product_attention(Q, K, V)
assert np.allclose(torch_output.detach(), numpy_output, atol=1e-10)
for ours, tensor in zip(gradients, tensors, strict=True):
    assert np.allclose(ours, tensor.grad, atol=1e-10)
assert torch.allclose(torch_output, F.scaled_dot_product_attention(*tensors))
print("forward, backward and PyTorch's own function agree")

# %% [markdown]
# Real models do this for many sentences and many heads at once. The extra axes go in
# front, and no line of the code changes. The cell takes the best device it finds.

# %% tags=["torch"]
found = [name for name in ("cuda", "mps") if getattr(torch, name).is_available()]
device = (found + ["cpu"])[0]
batch = torch.randn(3, 16, 4, 100, 64, generator=torch.Generator().manual_seed(0))
batch_output, batch_weights = in_torch.scaled_dot_product_attention(*batch.to(device))
assert batch_output.shape == (16, 4, 100, 64)  # sentences, heads, positions, features
assert torch.allclose(batch_weights.sum(-1).cpu(), torch.ones(16, 4, 100), atol=1e-5)
print(f"{batch_weights.numel():,} weights at once")
assert batch_weights.numel() == 640_000

# %% [markdown]
# ## What we know now
#
# - A **query** is compared with each **key**: that is the score. The softmax of the
#   scores gives weights. The output is the average of the **values** with those
#   weights.
# - Keys decide *where* to look, values decide *what* is read there.
# - The output stays in the convex hull of the values.
# - Temperature moves attention between a choice and a plain mean.
# - Subtract the maximum. Mask with $-\infty$. Give the empty row zeros.
# - The gradient takes four steps back, and no Jacobian is built.
#
# **What would make this false?** One output outside the hull. One score vector for
# which adding a constant changes the weights, beyond rounding. One entry of $dQ$, $dK$
# or $dV$ that central differences contradict. Each is an assert in this notebook: try
# to break it. What we did *not* show is that a weight tells you why a model answers as
# it does. That is a harder question, and chapter 12 tests it.
#
# **Exercises.** [Six questions](../exercises/02_query_key_value.ipynb), graded where
# you stand: build the softmax, the lookup, the mask and the backward pass, and find out
# which outputs attention can reach.
#
# **Further reading.**
#
# - [Bahdanau, Cho and Bengio (2015)](https://arxiv.org/abs/1409.0473): the first soft
#   lookup in a translator. Read section 3.1, and find the weighted sum.
# - [Graves, Wayne and Danihelka (2014)](https://arxiv.org/abs/1410.5401): a network
#   with a memory addressed by content. Their "key strength" is our $1/T$.
# - [Vaswani et al. (2017)](https://arxiv.org/abs/1706.03762): section 3.2 has the
#   equation of this chapter, in the words query, key and value.
