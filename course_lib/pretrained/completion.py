"""Going on from a text with SmolLM2, token by token."""

import torch

from course_lib.pretrained.smollm2 import END_OF_TURN
from course_lib.training.decoding import write
from course_lib.training.writers import LanguageWriter


def complete(model, tokenizer, prompt, n_tokens, choose, show):
    """Write up to n_tokens tokens after a prompt; keys and values are remembered.

    Args:
        model, tokenizer: from `smollm2.load_smollm2`
        prompt:   str, at least one token
        n_tokens: int, the most to write; the model may end before
        choose:   function of logits (1, vocab_size), giving ids (1,), such as
            `decoding.likeliest` or what `decoding.drawn` returns
        show:     function of str, called with each piece of text as it comes

    Returns:
        int, how many tokens were written, one that ends the text included.
    """
    ids = torch.tensor([tokenizer.encode(prompt).ids])
    end, written, shown = tokenizer.token_to_id(END_OF_TURN), [], ""

    def choose_and_show(logits):
        nonlocal shown
        words = choose(logits)
        written.append(int(words))
        text = tokenizer.decode(written)
        if not text.endswith("\N{REPLACEMENT CHARACTER}"):  # half a character
            show(text[len(shown) :])
            shown = text
        return words

    writer = LanguageWriter(model)
    with torch.no_grad():
        state = writer.start(ids[:, :-1])
    write(writer, state, ids[:, -1], n_tokens, choose_and_show, end)
    return len(written)
