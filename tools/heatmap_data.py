"""Make the numbers behind the first page's heatmap: `python -m tools.heatmap_data`.

MiniLM, in the course's own encoder, reads a dozen sentences; the weights of all its
layers and heads go into course_lib/widgets/minilm_attention.json, to two decimals.
"""

import json

import torch

from course_lib.pretrained.minilm import load_minilm
from course_lib.widgets.attention_heatmap import MINILM, sentence

# Each with the word to start from; those with the same word pair up, two by two.
SENTENCES = (
    ("The animal didn't cross the street because it was too tired.", "it"),
    ("The animal didn't cross the street because it was too wide.", "it"),
    ("The cat chased the ball because it was hungry.", "it"),
    ("The cat chased the ball because it was rolling.", "it"),
    ("The trophy did not fit into the suitcase because it was too big.", "it"),
    ("The trophy did not fit into the suitcase because it was too small.", "it"),
    ("She poured water from the jug into the cup until it was empty.", "it"),
    ("She poured water from the jug into the cup until it was full.", "it"),
    ("We sat on the river bank.", "bank"),
    ("The bank lent us the money.", "bank"),
    ("What is the capital of France?", "capital"),
    ("Paris is the capital of France.", "capital"),
)


@torch.no_grad()
def attention(model, tokenizer, text):
    """The pieces of a text and its weights (n_layers, n_heads, n, n), as float32."""
    encoded = tokenizer.encode(text)
    _, weights = model.encode_words(torch.tensor([encoded.ids]))
    return encoded.tokens, torch.cat(list(weights)).numpy()


def sentences():
    """All sentences, as the widget takes them."""
    model, tokenizer = load_minilm()
    made = []
    for number, (text, word) in enumerate(SENTENCES, start=1):
        tokens, weights = attention(model, tokenizer, text)
        twin = number + 1 if number % 2 else number - 1
        made.append(sentence(text, tokens, weights, tokens.index(word), twin))
    return made


if __name__ == "__main__":
    lines = ",\n".join(map(json.dumps, sentences()))
    MINILM.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{MINILM.name}: {MINILM.stat().st_size / 1000:.0f} kB")
