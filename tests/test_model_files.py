"""Model files that are damaged or hostile: whole settings, first use, time, memory."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langmodels
from langmodels.errors import FileWarning, LangmodelsError
from langmodels.models.cache import CacheModel
from langmodels.models.files import pack, unpack
from langmodels.models.mixture import MixtureModel
from langmodels.models.unigram import UnigramModel
from langmodels.neural import LSTMModel
from langmodels.ngram import NGramModel, quantize
from langmodels.tensors import open_arrays, save_arrays
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.words import WordTokenizer

pytestmark = pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")

TEXT = "the cat sat on the mat\nthe dog sat on the log\na dog and a cat ran\n" * 3


def corpus(level: str = "word") -> Corpus:
    return Corpus.from_text(TEXT, make_tokenizer(level))


def lstm() -> LSTMModel:
    return LSTMModel(hidden=8, epochs=1, batch_size=2, steps=8).fit(corpus())


def changed(model: Any, **settings: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """What a file would hold, with other settings."""
    metadata, arrays = pack(model)
    config = json.loads(metadata["config"])
    for path, value in settings.items():
        *folders, name = path.split("__")
        inner = config
        for folder in folders:
            inner = inner[folder]
        inner[name] = value
    return {**metadata, "config": json.dumps(config)}, arrays


@pytest.mark.parametrize(
    "settings",
    [
        {"order": 2.0},
        {"order": True},
        {"order": 0},
        {"order": 10**9},
        {"fitted": []},
        {"fitted": {"discounts": [1, "x"]}},
        {"unseen_backoff": "x"},
        {"unseen_backoff": 7.5},
        {"unseen_backoff": float("nan")},
        {"unseen_backoff": -1.0},
        {"min_counts": "abc"},
        {"is_distribution": "no"},
        {"smoothing": "soap"},
        {"smoothing": ["mle"]},
        {"options": {"soap": 1}},
        {"options": 3},
    ],
    ids=str,
)
def test_settings_of_ngram_models(settings: dict[str, Any]) -> None:
    with pytest.raises(LangmodelsError, match=r"^x\.lm is not a whole model file"):
        unpack(*changed(NGramModel(2, "witten_bell").fit(corpus()), **settings), name="x.lm")


@pytest.mark.parametrize(
    "settings",
    [
        {"arguments__layers": 10**7},
        {"arguments__hidden": 10**9},
        {"arguments__hidden": "x"},
        {"arguments__dtype": "complex64"},
        {"arguments__window": 10**9},
        {"arguments": None},
        {"history": {}},
        {"history__stopped": 3},
        {"history__epochs": ["x"]},
    ],
    ids=str,
)
def test_impossible_settings_of_networks_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(LangmodelsError, match=r"^x\.lm is not a whole model file"):
        unpack(*changed(lstm(), **settings), name="x.lm")


def test_settings_of_models_of_models() -> None:
    unigram = UnigramModel().fit(corpus())
    for model, settings in (
        (MixtureModel([unigram, unigram]).fit(corpus()), {"weights": [0.5, 0.6]}),
        (MixtureModel([unigram, unigram]).fit(corpus()), {"weights": [0.5, float("nan")]}),
        (MixtureModel([unigram, unigram]).fit(corpus()), {"weights": [1.0]}),
        (MixtureModel([unigram, unigram]).fit(corpus()), {"parts": []}),
        (MixtureModel([unigram, unigram]).fit(corpus()), {"parts": [3, 3]}),
        (CacheModel(unigram).fit(corpus()), {"decay": "x"}),
        (CacheModel(unigram).fit(corpus()), {"weight": 1.5}),
        (CacheModel(unigram).fit(corpus()), {"given": [0.5]}),
        (CacheModel(unigram).fit(corpus()), {"base": {"kind": "soap", "config": {}}}),
    ):
        with pytest.raises(LangmodelsError, match=r"^x\.lm is not a whole model file"):
            unpack(*changed(model, **settings), name="x.lm")


def test_files_with_impossible_readings_are_refused() -> None:
    metadata, arrays = pack(UnigramModel().fit(corpus()))
    for key, value in (
        ("tokenizer", "[]"),
        ("tokenizer", '{"level": "char"}'),  # which has no line ends
        ("tokenizer", '{"level": "symbols", "lines": true, "width": 99999999999}'),
        ("tokenizer", '{"level": "symbols", "lines": true, "width": 2.5}'),
        ("tokenizer", "[" * 100_000),
        ("tokenizer", json.dumps({"level": "word", "pattern": "a" * 20_000})),
        ("tokenizer", '{"level": "word", "pattern": 3}'),
        ("cleaning", "soap"),
        ("config", "{"),
        ("kind", "soap"),
    ):
        with pytest.raises(LangmodelsError, match=r"^x\.lm is not a whole model file"):
            unpack({**metadata, key: value}, arrays, name="x.lm")


def test_patterns_that_never_end() -> None:
    tokenizer = WordTokenizer(pattern=r"(?:a+)+b|\w")
    assert tokenizer.tokenize("aab c") == ["aab", "c"]
    for cut in (tokenizer.tokenize, tokenizer.tokenize_lines, tokenizer.gaps):
        with pytest.raises(LangmodelsError, match="pattern needs too much time"):
            cut("a" * 5000)


@pytest.mark.skipif(os.name != "posix", reason="Windows does not replace a mapped file")
@pytest.mark.parametrize("kind", ["plain", "quantized"])
def test_large_tables_are_checked_when_first_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("langmodels.ngram.model._AT_ONCE", 0)
    monkeypatch.setattr("langmodels.tensors._VERIFIED", 0)
    model = NGramModel(3).fit(corpus())
    model = quantize(model) if kind == "quantized" else model
    path = tmp_path / "model.lm"
    model.save(path)
    loaded = NGramModel.load(path)
    assert "tables" not in vars(loaded)
    assert pickle.loads(pickle.dumps(NGramModel.load(path))).score("a cat") == model.score("a cat")
    assert loaded.score("a cat") == model.score("a cat")
    metadata, arrays = open_arrays(path)
    # Damage that leaves every value possible.
    at = path.read_bytes().rindex(arrays["ngram.3.words"].tobytes())
    data = bytearray(path.read_bytes())
    data[at : at + 4] = np.int32(0).tobytes()
    path.write_bytes(data)
    damaged = NGramModel.load(path)
    with pytest.raises(LangmodelsError, match=r"model\.lm is damaged: the array 'ngram.3.words'"):
        damaged.score("the cat")
    # Without checksums, as version 0.1 wrote files, sums tell.
    words = arrays["ngram.2.words"].copy()
    words[0] = 0
    save_arrays(path, {**arrays, "ngram.2.words": words}, metadata)
    strip_checksums(path)
    with pytest.raises(LangmodelsError, match=r"lack the suffix|do not sum to 1|words' is damaged"):
        NGramModel.load(path).score("the cat")


def strip_checksums(path: Path) -> None:
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    del header["__metadata__"]["crc32"]
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])


def test_files_of_old_have_no_checksums(tmp_path: Path) -> None:
    model = NGramModel(3).fit(corpus())
    model.save(tmp_path / "model.lm")
    strip_checksums(tmp_path / "model.lm")
    assert langmodels.load(tmp_path / "model.lm").score("a cat") == model.score("a cat")


def test_a_model_of_a_file_that_did_not_sum_to_one_says_so_again(tmp_path: Path) -> None:
    arpa = "\\data\\\nngram 1=3\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\n-1\t</s>\n\n\\end\\\n"
    (tmp_path / "x.arpa").write_text(arpa)
    with pytest.warns(FileWarning, match="do not sum to 1"):
        langmodels.load(tmp_path / "x.arpa").save(tmp_path / "x.lm")
    with pytest.warns(FileWarning, match="do not sum to 1"):
        langmodels.load(tmp_path / "x.lm")


def test_a_file_that_was_read_may_be_cut_short(tmp_path: Path) -> None:
    model = NGramModel(3).fit(corpus())
    model.save(tmp_path / "model.lm")
    loaded = langmodels.load(tmp_path / "model.lm", mmap=False)
    other = NGramModel.load(tmp_path / "model.lm", mmap=False)
    with (tmp_path / "model.lm").open("r+b") as file:
        file.truncate(100)
    assert loaded.score("a cat") == other.score("a cat") == model.score("a cat")


def test_orders_without_ngrams(tmp_path: Path) -> None:
    text = Corpus.from_text("a b\n", make_tokenizer("word"))
    for smoothing in ("modified_kneser_ney", "witten_bell", "mle"):
        model = NGramModel(9, smoothing).fit(text)
        model.save(tmp_path / "model.lm")
        model.save_arpa(tmp_path / "model.arpa")
        for name in ("model.lm", "model.arpa"):
            loaded = langmodels.load(tmp_path / name)
            assert loaded.score("a b") == pytest.approx(model.score("a b"), abs=1e-5)


def test_every_kind_of_file_is_found_by_whoever_opens_one() -> None:
    """Families are imported when they are needed, and no sooner."""
    every = (
        "import pkgutil, importlib, langmodels\n"
        "for m in pkgutil.walk_packages(langmodels.__path__, 'langmodels.'):\n"
        "    if not m.name.endswith(('__main__', '.lm_eval')): importlib.import_module(m.name)\n"
        "from langmodels.kinds import KINDS\n"
        "print(*sorted(k for k, c in KINDS.items() if c.__module__.startswith('langmodels.')))"
    )
    found = (
        "import sys, langmodels\nlangmodels.MixtureModel\n"
        "from langmodels.kinds import find_kind\n"
        "families = {'langmodels.fullcontext.model', 'langmodels.neural.base'}\n"
        "assert find_kind('ngram') and not families & sys.modules.keys()\n"
        "print(*(kind for kind in sys.argv[1:] if find_kind(kind) is not None))"
    )
    kinds = _printed(every)
    assert {"ngram", "transformer"} < set(kinds)
    assert _printed(found, *kinds) == kinds


def _printed(script: str, *arguments: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(langmodels.__file__).parents[1])},
    )
    return ran.stdout.split()
