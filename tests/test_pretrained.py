"""Models of the library `transformers`: tiny ones, made here, against the library's own scores."""

import copy
import json
import pickle
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import langmodels
from langmodels.cli.main import main
from langmodels.compression import compress, decompress
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.pretrained import PretrainedModel

# They take seconds to import: in one process, not in each that only collects the tests.
pytestmark = pytest.mark.skipif(
    not all(map(find_spec, ("torch", "transformers", "tokenizers"))), reason="needs transformers"
)

TEXT = 'The otter said “no”, and — naïvely 中文 — swam on.\nThen:\n\n  it slept.  "So!"\n' * 3
STYLES = ("gpt2", "llama")


def make(folder: Path, style: str) -> Path:
    """A tiny random model with a tokenizer of its kind: bytes, or words after U+2581."""
    import tokenizers
    import torch
    import transformers

    torch.set_num_threads(1)
    if style == "gpt2":
        cut = tokenizers.Tokenizer(tokenizers.models.BPE())
        cut.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        cut.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=300,
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<|endoftext|>"],
            show_progress=False,
        )
        marks = {"eos_token": "<|endoftext|>"}
    else:
        cut = tokenizers.Tokenizer(tokenizers.models.Unigram())
        cut.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
        cut.decoder = tokenizers.decoders.Metaspace()
        trainer = tokenizers.trainers.UnigramTrainer(
            vocab_size=60,
            special_tokens=["<unk>", "<s>", "</s>"],
            unk_token="<unk>",
            show_progress=False,
        )
        marks = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    cut.train_from_iterator([TEXT], trainer)
    size = cut.get_vocab_size() + 5  # as many models, with ids that no piece has
    torch.manual_seed(0)
    if style == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=size, n_positions=32, n_embd=16, n_layer=2, n_head=2
        )
        config.bos_token_id = config.eos_token_id = 0
        network = transformers.GPT2LMHeadModel(config)
    else:
        config = transformers.LlamaConfig(
            vocab_size=size,
            max_position_embeddings=32,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
        )
        network = transformers.LlamaForCausalLM(config)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    network.save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=cut, **marks).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    made = tmp_path_factory.mktemp("models")
    return {style: str(make(made / style, style)) for style in STYLES}


@pytest.fixture(params=STYLES)
def folder(request: pytest.FixtureRequest, folders: dict[str, str]) -> str:
    return folders[request.param]


def test_scores_are_the_library_s_own(folder: str) -> None:
    import torch
    import transformers

    model = PretrainedModel(folder)
    text = TEXT[:30]
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    ids = transformers.AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False)
    ids = torch.tensor([[network.config.bos_token_id, *ids["input_ids"]]])
    with torch.no_grad():
        log_p = torch.log_softmax(network(ids).logits[0, :-1], -1)
    theirs = log_p.gather(1, ids[0, 1:, None])[:, 0].numpy()
    np.testing.assert_allclose(model.token_scores(text), theirs, atol=1e-5)


@pytest.mark.parametrize("stride", [None, 1, 32])
def test_texts_beyond_the_window_are_scored_as_the_loop_does(folder: str, stride: int) -> None:
    model = PretrainedModel(folder, stride=stride)
    sequences = model.sequences_of([TEXT[:90], "", TEXT[90:100]])
    assert sequences.lengths[0] > 34
    slow = LanguageModel.score_sequences(model, sequences)
    np.testing.assert_allclose(model.score_sequences(sequences), slow, atol=1e-5)
    ids = sequences.ids[1:40].tolist()
    seen = [len(model.state(ids[:n]).inputs) for n in range(1, len(ids))]
    assert max(seen) == model.context_length
    used = [model.context_used(ids[:n]) for n in range(1, len(ids))]
    assert used == np.minimum(seen, np.arange(1, len(ids))).tolist()


def test_states_are_values_and_distributions_sum_to_one(folder: str) -> None:
    model = PretrainedModel(folder)
    state = model.state("The otter")
    before = model.log_distribution(state).copy()
    later = [model.advance(state, token) for token in (5, 9)]
    assert not np.allclose(*(model.log_distribution(s) for s in later))
    assert np.array_equal(model.log_distribution(state), before)
    assert np.exp(before).sum() == pytest.approx(1, abs=1e-6)
    assert before[model.vocabulary.bos_id] == -np.inf


def test_copies_and_files_score_alike_and_hold_no_weights(folder: str, tmp_path: Path) -> None:
    model = PretrainedModel(folder, window=16, stride=3)
    model.save(tmp_path / "small.lm")
    assert (tmp_path / "small.lm").stat().st_size < 100_000  # the weights are not in it
    want = model.score(TEXT)
    for other in (
        langmodels.load(tmp_path / "small.lm"),
        langmodels.load(f"hf:{folder}:window=16:stride=3"),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ):
        assert other.score(TEXT) == want


def test_pieces_give_back_the_text(folder: str) -> None:
    reading = PretrainedModel(folder).reading
    assert reading.tokenizer.reversible
    text = "Ω  " + TEXT  # a letter that no piece of characters has
    tokens = reading.tokens(text)
    assert reading.text(tokens) == text
    ends = reading.tokenizer.token_ends(text)
    assert len(ends) == len(tokens)
    assert ends[-1] == len(text)
    assert ("[<s>]" in reading.vocabulary.tokens) == ("Ω" in tokens)  # marks are ours alone


def test_commands_take_pretrained_models(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text(TEXT * 8, encoding="utf-8")
    text, name = str(tmp_path / "text.txt"), f"hf:{folder}"
    assert main(["evaluate", name, "--corpus", text, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tokens"] == len(langmodels.load(name).tokenize(TEXT * 8))
    assert main(["predict", name, "The otter", "--json"]) == 0
    capsys.readouterr()
    compared = ["--models", f"{name},mkn:order=2", "--no-cache", "--jobs", "1", "--json"]
    assert main(["compare", "--corpus", text, *compared]) == 0
    labels = {m["label"] for m in json.loads(capsys.readouterr().out)["models"]}
    assert Path(folder).name in {Path(label.removeprefix("hf:")).name for label in labels}


def test_wrong_names_and_windows_are_refused(folders: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(LangmodelsError, match="neither a folder with a causal model"):
        langmodels.load(f"hf:{tmp_path}")
    with pytest.raises(UsageError, match=r"window of .* is 2 to 32"):
        langmodels.load(f"hf:{folders['gpt2']}:window=33")
    with pytest.raises(UsageError, match="window and stride"):
        langmodels.load(f"hf:{folders['gpt2']}:hidden=3")
    with pytest.raises(UsageError, match="finished"):
        langmodels.load(f"hf:{folders['gpt2']}").fit("a rose")


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.utils._http

    asked: list[str] = []

    class NoNetwork:
        def head(self, url: str, **_: object) -> None:
            asked.append(url)
            raise OSError("Network is unreachable")

        def request(self, method: str, url: str, **_: object) -> None:
            self.head(url)

    for module in (huggingface_hub, huggingface_hub.utils._http):
        monkeypatch.setattr(module, "get_session", NoNetwork)
    monkeypatch.setitem(sys.modules, "transformers", None)  # nor is anything large imported first
    with pytest.raises(LangmodelsError, match="no-such/model is neither a folder"):
        langmodels.load("hf:no-such/model")
    assert len(asked) == 1


def test_a_tokenizer_file_of_another_kind(folders: dict[str, str]) -> None:
    reading = langmodels.make_tokenizer("pieces", file=f"{folders['llama']}/tokenizer.json")
    corpus = langmodels.Corpus.from_text(TEXT, reading)
    assert langmodels.make_model("mkn", order=2).fit(corpus).perplexity(corpus) < 20
    with pytest.raises(UsageError, match="Name the tokenizer"):
        langmodels.make_tokenizer("pieces")


def test_surprisal_of_words_and_compression(folder: str) -> None:
    """What is made of distributions one by one adds up to what the library says of the text."""
    model, text = PretrainedModel(folder), "The otter — naïvely —\n swam on."
    table = langmodels.surprisal_table({"m": model}, [text])
    assert table.columns["word"] == text.split()
    total = -model.score_corpus(langmodels.Corpus.read_by(model.reading, text)).sum() / np.log(2)
    assert sum(table.columns["surprisal"]) == pytest.approx(total, abs=1e-6)
    packed = compress(text.encode(), model)
    assert not packed.by_bytes
    assert packed.bits - packed.residue_bits == pytest.approx(total, rel=0.01)
    assert decompress(packed.data, model) == text.encode()
