"""Small whole files, one or more of every format, from which damaged ones are made."""

import gzip
import io
import json
import lzma
import tempfile
import warnings
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

from langmodels.compression.codec import compress
from langmodels.evaluation.comparison import compare
from langmodels.neural import LSTMModel
from langmodels.neural.bidirectional.model import BidirectionalModel
from langmodels.neural.encoder_decoder.model import EncoderDecoderModel
from langmodels.ngram import NGramModel, quantize
from langmodels.ngram.counts_file import write_counts
from langmodels.ngram.partitions import fitting
from langmodels.ngram.text_counts import TextCounts
from langmodels.presets import Setting
from langmodels.registry import MODELS, make_model
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.parallel_corpus import ParallelCorpus
from langmodels.text.stored_text import StoredText

TEXT = "the cat sat on the mat\nthe dog sat on the log\na dog and a cat ran to the mat\n" * 2

_NAMED = [(f"a-{i // 3}-{1 + i % 3}", line) for i, line in enumerate(TEXT.splitlines())]
LISTS = "".join(f"{name} {line}\n" for name, line in _NAMED)
COSTS = "".join(f"{name} {i}.5\n" for i, (name, _) in enumerate(_NAMED))
"""Lists as Kaldi has them, and what their hypotheses cost."""

SUBWORDS = ("bpe", "unigram")
BINARIES = Path(__file__).resolve().parents[1] / "data"


def corpus(level: str = "word") -> Corpus:
    """The text, of which words seen once are unknown."""
    return Corpus.from_text(TEXT, make_tokenizer(level))


def checkpointed() -> LSTMModel:
    """The network that the checkpoint is of."""
    return LSTMModel(hidden=4, epochs=2, batch_size=4, steps=8, threads=1)


def make_wholes(folder: Path) -> dict[str, bytes]:
    """The contents of all files, by name; the ending says which format."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in MODELS:
            _fitted(name).save(folder / f"{name}.lm")
        BidirectionalModel(hidden=4, epochs=1, batch_size=4, steps=8).fit(corpus()).save(
            folder / "bidirectional.lm"
        )
        pairs = ParallelCorpus.from_pairs((line, line[::-1]) for line in TEXT.splitlines())
        EncoderDecoderModel(hidden=4, epochs=1, batch_size=4).fit(pairs).save(
            folder / "encoder-decoder.lm"
        )
        for level in SUBWORDS if find_spec("tokenizers") else ():
            NGramModel(2).fit(corpus(f"{level}:vocab=300")).save(folder / f"{level}-pieces.lm")
        counted = TextCounts.of(corpus(), 3)
        write_counts(folder / "text.counts", counted.counts, counted.reading.vocabulary)
        (folder / "text.compressed").write_bytes(compress(TEXT.encode()).data)
        ngram = NGramModel(3).fit(corpus())
        quantize(ngram).save(folder / "quantized.lm")
        ngram.save_arpa(folder / "words.arpa")
        NGramModel(3).fit(corpus("char")).save_arpa(folder / "characters.arpa")
        checkpointed().fit(corpus(), corpus(), checkpoint=str(folder / "run.ckpt"))
        text = "the cat sat on the mat and the dog ran to the log " * 20
        found = compare(["mkn:order=2"], text, levels=["char"], budget="quick", cache=folder)
        found.save(folder / "comparison.json")
    for stage in ("count", "estimate"):
        (folder / f"before-{stage}.work").write_bytes(_killed(stage))
    for path in folder.glob("*.run"):
        path.rename(folder / "kept.run")
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    for path in sorted(BINARIES.glob("*.bin.xz")):
        found[path.stem.removeprefix("alice.")] = lzma.decompress(path.read_bytes())
    found |= _inputs()
    words = found["words.arpa"]
    packed = {
        "words.arpa.gz": gzip.compress(words, mtime=0),
        "words.arpa.xz": lzma.compress(words),
        "wide.arpa": words.decode().encode("utf-16"),
    }
    return {**found, **packed}


def read_stored(folder: Path) -> StoredText:
    """The text, read into files of a work folder."""
    return StoredText.read([TEXT], make_tokenizer("word"), "none", folder)


def _killed(stage: str) -> bytes:
    """The files that a run of `train --memory` leaves that is killed in a stage, together."""
    done: list[int] = []
    original = getattr(fitting, stage)

    def fails(*arguments: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return original(*arguments)

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(fitting, stage, fails):
        with suppress(KeyboardInterrupt):
            fitting.fit_on_disk(NGramModel(3), read_stored(Path(folder)), Path(folder), 40)
        files = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
    return together(files)


def together(files: dict[str, bytes]) -> bytes:
    """Files by their names as one, from which `apart` gets them."""
    sizes = json.dumps({name: len(data) for name, data in files.items()})
    return b"".join([sizes.encode(), b"\n", *files.values()])


def apart(data: bytes) -> dict[str, bytes]:
    """Inverse of `together`."""
    sizes, _, rest = data.partition(b"\n")
    files = {}
    for name, size in json.loads(sizes).items():
        files[name], rest = rest[:size], rest[size:]
    return files


def _inputs() -> dict[str, bytes]:
    """What commands read beside models."""
    some = TEXT.splitlines()[:12]
    table = [{"item": i, "sentence": line, "region": "a/b"} for i, line in enumerate(some)]
    csv = "item,sentence,region\n" + "".join(
        f'{row["item"]},"{row["sentence"]}",a/b\n' for row in table
    )
    nbest = [{"id": i // 3, "hypothesis": line, "score": -i} for i, line in enumerate(some)]
    found = {
        "documents.jsonl": "".join(json.dumps(row) + "\n" for row in table).encode(),
        "stimuli.csv": csv.encode(),
        "lists.nbest": "".join(json.dumps(row) + "\n" for row in nbest).encode(),
        "lists.kaldi": LISTS.encode(),
        "lists.costs": COSTS.encode(),
        "vocabulary.words": "\n".join(sorted(set(TEXT.split()))[:80]).encode() + b"\n",
    }
    if find_spec("pyarrow"):
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
        out = io.BytesIO()
        parquet.write_table(arrow.Table.from_pylist(table), out)
        found["documents.parquet"] = out.getvalue()
    if find_spec("tokenizers"):
        tokenizer = corpus("bpe:vocab=300").tokenizer
        found["tokenizer.pieces"] = str(tokenizer.config()["model"]).encode()
    if find_spec("sentencepiece"):
        for kind in ("unigram", "bpe"):
            found[f"{kind}.sentences"] = sentencepiece_model(kind)
    return found


def sentencepiece_model(kind: str) -> bytes:
    """A model of the package `sentencepiece`, learnt from the text."""
    out = io.BytesIO()
    import_module("sentencepiece").SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.splitlines() * 5),
        model_writer=out,
        model_type=kind,
        normalization_rule_name="identity" if kind == "bpe" else "nmt_nfkc",
        vocab_size=290,
        hard_vocab_limit=False,
        byte_fallback=True,
        minloglevel=2,
    )
    return out.getvalue()


def _fitted(name: str) -> Any:
    small = {"epochs": 1, "batch_size": 4, "hidden": 4, "steps": 8, "layers": 1}
    for options in (
        small,
        {k: small[k] for k in ("epochs", "batch_size", "hidden")},
        {"epochs": 1, "batch_size": 4, "steps": 8},
        {},
    ):
        try:
            return make_model(name, Setting(order=3, budget="quick"), **options).fit(corpus())
        except (ValueError, TypeError):
            continue
    raise AssertionError(name)
