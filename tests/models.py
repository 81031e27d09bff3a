"""What the tests of layers and models share: random weights, and trees of them.

The weights are drawn in NumPy, nested as the functions of both halves take them. No
gain is 1 and no bias 0, so none of them can be left out unseen.
"""

import numpy as np
from twins import (
    GRADIENT_TOLERANCE,
    assert_all_close,
    central_differences,
    need_torch,
)


def draw_linear(rng, *names, shape, bias=True):
    """W_x of this shape, and b_x, for every name x."""
    drawn = {}
    for name in names:
        drawn[f"W{name}"] = rng.normal(0, shape[1] ** -0.5, shape)
        if bias:
            drawn[f"b{name}"] = rng.normal(0, 0.3, shape[0])
    return drawn


def draw_norm(rng, d_model, norm="layer"):
    """The parameters of a norm."""
    gain = rng.normal(1, 0.3, d_model)
    return {"gain": gain} | ({"bias": gain[::-1] / 3} if norm == "layer" else {})


def draw_attention(rng, d_model, n_heads, d_head, n_kv_heads=None, bias=True):
    """The parameters of `multi_head_attention`."""
    d_query, d_key = n_heads * d_head, (n_kv_heads or n_heads) * d_head
    return (
        draw_linear(rng, "_q", shape=(d_query, d_model), bias=bias)
        | draw_linear(rng, "_k", "_v", shape=(d_key, d_model), bias=bias)
        | draw_linear(rng, "_o", shape=(d_model, d_query), bias=bias)
    )


def draw_layer(
    rng,
    d_model,
    n_heads,
    d_head,
    d_ff,
    n_kv_heads=None,
    activation="relu",
    norm="layer",
    bias=True,
    cross=False,
):
    """The parameters of `encoder_layer`, or with cross of `decoder_layer`."""
    ups = ("_1", "_gate") if activation == "swiglu" else ("_1",)
    layer = {
        "attention": draw_attention(rng, d_model, n_heads, d_head, n_kv_heads, bias),
        "feed_forward": draw_linear(rng, *ups, shape=(d_ff, d_model), bias=bias)
        | draw_linear(rng, "_2", shape=(d_model, d_ff), bias=bias),
    }
    if cross:
        layer["cross"] = draw_attention(rng, d_model, n_heads, d_head, n_kv_heads, bias)
    return layer | {f"{name}_norm": draw_norm(rng, d_model, norm) for name in layer}


def map_tree(function, tree):
    """The same nesting, with the function of every leaf."""
    if isinstance(tree, dict):
        return {name: map_tree(function, part) for name, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(map_tree(function, part) for part in tree)
    return function(tree)


def tree_to_torch(tree, requires_grad=False, **kinds):
    """Arrays as tensors; `kinds` are dtype and device."""
    torch = need_torch()
    return map_tree(
        lambda leaf: torch.tensor(leaf, requires_grad=requires_grad, **kinds), tree
    )


def tree_to_numpy(tree):
    """Tensors, or what is an array already, as arrays."""
    return map_tree(
        lambda leaf: leaf.detach().numpy() if hasattr(leaf, "detach") else leaf, tree
    )


def gradients_of(tree):
    """The gradients that a backward pass left at the leaves; zeros where it did not."""
    torch = need_torch()
    return map_tree(
        lambda leaf: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad,
        tree,
    )


def leaves(tree, path=""):
    """Every (path, leaf) of a tree."""
    if isinstance(tree, dict):
        for name, part in tree.items():
            yield from leaves(part, f"{path}/{name}")
    elif isinstance(tree, (list, tuple)):
        for i, part in enumerate(tree):
            yield from leaves(part, f"{path}/{i}")
    else:
        yield path, tree


def assert_same_trees(actual, expected, **tolerance):
    """The same names, the same shapes, and close numbers."""
    actual = dict(leaves(tree_to_numpy(actual)))
    expected = dict(leaves(tree_to_numpy(expected)))
    assert actual.keys() == expected.keys()
    for path, array in actual.items():
        assert np.shape(array) == np.shape(expected[path]), path
        np.testing.assert_allclose(array, expected[path], err_msg=path, **tolerance)


def assert_tree_gradients(gradients, forward, tree, d_output):
    """Gradients of every leaf that equal central differences.

    Args:
        gradients: nested like `tree`; it may hold more
        forward:   function of nothing; it reads the arrays of `tree`, which are changed
            in place and put back
        d_output:  gradient of what it returns
    """
    found = dict(leaves(gradients))
    paths, arrays = zip(*leaves(tree), strict=True)
    differences = central_differences(lambda *_: forward(), arrays, d_output)
    assert_all_close([found[path] for path in paths], differences, **GRADIENT_TOLERANCE)


def draw_table(rng, n_rows, d_model):
    """An embedding, or a table of positions."""
    return rng.normal(0, d_model**-0.5, (n_rows, d_model))


def draw_stack(
    rng, settings, d_model, d_ff, n_layers=2, norm="layer", bias=True, **kind
):
    """A list of layers; `kind` may say n_kv_heads and cross. Heads have 2 features."""
    sizes, activation = (d_model, settings.n_heads, 2, d_ff), settings.activation
    kind = {"activation": activation, "norm": norm, "bias": bias} | kind
    return [draw_layer(rng, *sizes, **kind) for _ in range(n_layers)]


def _torchs(attention):
    """The arrays of nn.MultiheadAttention, in its order: q, k and v on one pile."""
    W = np.concatenate([attention[name] for name in ("W_q", "W_k", "W_v")])
    b = np.concatenate([attention[name] for name in ("b_q", "b_k", "b_v")])
    return {
        "in_proj_weight": W,
        "in_proj_bias": b,
        "out_proj.weight": attention["W_o"],
        "out_proj.bias": attention["b_o"],
    }


def in_torchs_names(layer):
    """The tree of a layer, or of its gradients, under the names torch gives it."""
    attentions = {"self_attn": layer["attention"]}
    norms = [layer["attention_norm"], layer["feed_forward_norm"]]
    if "cross" in layer:
        attentions["multihead_attn"] = layer["cross"]
        norms.insert(1, layer["cross_norm"])
    names = {}
    for name, attention in attentions.items():
        names |= {f"{name}.{part}": a for part, a in _torchs(attention).items()}
    for i, norm in enumerate(norms, start=1):
        names |= {f"norm{i}.weight": norm["gain"], f"norm{i}.bias": norm["bias"]}
    for i in (1, 2):
        names[f"linear{i}.weight"] = layer["feed_forward"][f"W_{i}"]
        names[f"linear{i}.bias"] = layer["feed_forward"][f"b_{i}"]
    return names
