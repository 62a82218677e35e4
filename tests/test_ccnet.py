"""CCNet's chain on stand-ins: its normalisation, a sentencepiece model, a quantized trie."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from kenlm_writing import rounded, write_quantized_trie

from langmodels.cli.main import main
from langmodels.datasets import find_source
from langmodels.ngram import NGramModel
from langmodels.ngram.opening import open_ngrams
from langmodels.text.cleaning import clean
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

TALE = find_source("wonderland.txt").read()[:20_000]
DOCUMENT = "Ünd the Heron said: “Nothing!”\n“It was 12 o'clock,” said Bet…\nQuite so — zyx\n"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with `sp.model`, `lm.arpa` and `lm.bin`, the latter two of the same numbers."""
    sentencepiece = pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("ccnet")
    lines = [line for line in "".join(clean([TALE], "ccnet")).split("\n") if line]
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=written, vocab_size=200, minloglevel=2
    )
    (folder / "sp.model").write_bytes(written.getvalue())
    pieces = make_tokenizer(f"sentencepiece:file={folder / 'sp.model'}")
    model = NGramModel(3).fit(Corpus.from_text(TALE, pieces, cleaning="ccnet"))
    tables = rounded(model.tables)
    NGramModel.from_tables(tables, model.reading, smoothing="given").save_arpa(folder / "lm.arpa")
    write_quantized_trie(folder / "lm.bin", tables, model.vocabulary)
    return folder


def perplexity_of_ccnet(folder: Path) -> tuple[float, list[float]]:
    """As CCNet has it: 10 to the mean of -log10 p over pieces and line ends; and each line's."""
    kenlm = pytest.importorskip("kenlm")
    from sentencepiece import SentencePieceProcessor

    quiet = kenlm.Config()
    quiet.show_progress = False
    model = kenlm.Model(str(folder / "lm.arpa"), quiet)
    processor = SentencePieceProcessor(model_file=str(folder / "sp.model"))
    scores, length = [], 0
    for line in "".join(clean([DOCUMENT], "ccnet")).strip().split("\n"):
        pieces = processor.encode(line, out_type=str)
        scores.append(model.score(" ".join(pieces)))
        length += len(pieces) + 1
    return 10.0 ** (-sum(scores) / length), scores


@pytest.mark.filterwarnings("ignore:.*probabilities do not sum")
def test_the_perplexity_of_a_document_is_ccnets(
    chain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(chain)
    expected, scores = perplexity_of_ccnet(chain)
    assert 5 < expected < 200  # most pieces are known
    level = "sentencepiece:file=sp.model"
    model = open_ngrams("lm.bin", make_tokenizer(level), "ccnet")
    found = model.score_many(DOCUMENT.splitlines()) / 2.302585092994046
    assert found.tolist() == pytest.approx(scores, abs=1e-3)

    Path("document.txt").write_text(DOCUMENT, encoding="utf-8")
    assert main(["convert", "lm.bin", "lm.lm", "--level", level, "--normalize", "ccnet"]) == 0
    capsys.readouterr()
    for name in ("lm.lm", "wrapped.lm"):
        if name == "wrapped.lm":
            model.save(name)  # the binary file as it is, and how text is read
        assert main(["score", name, "--file", "document.txt", "--summary", "--json"]) == 0
        summary = json.loads(capsys.readouterr().out)
        assert summary["perplexity"] == pytest.approx(expected, rel=1e-3)
