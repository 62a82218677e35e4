"""The outcome for a damaged file: an error, or a sound model."""

import contextlib
import io
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from langmodels.cli.main import main
from langmodels.compression.codec import decompress
from langmodels.errors import FileWarning, LangmodelsError
from langmodels.evaluation.comparison import Comparison
from langmodels.evaluation.measuring import Run
from langmodels.evaluation.run_cache import read_run
from langmodels.models.base import LanguageModel
from langmodels.neural.encoder_decoder.model import EncoderDecoderModel
from langmodels.ngram import NGramModel
from langmodels.ngram.counts_file import read_counts
from langmodels.ngram.kenlm import KenLMModel
from langmodels.ngram.opening import open_ngrams
from langmodels.ngram.partitions.running import fitted_within
from langmodels.ngram.tables import NGramTables
from langmodels.registry import load_any
from langmodels.storage import work_folder

from .commands import fault
from .wholes import COSTS, LISTS, TEXT, apart, checkpointed, corpus, read_stored

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_TOLERANCE = 2e-3
_SECONDS = 5.0  # of the processor; a second is meant, but machines are slow
_MEMORY = 200 << 20


class Fault(Exception):
    """The outcome was neither a one-line error nor a sound model."""


def judge(path: Path) -> str:
    """Whether it is refused in a "sentence", or "sound". Raises `Fault` for any other outcome."""
    began, before = time.process_time(), _memory()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _JUDGES[path.suffix](path)
            outcome = "sound"
        except Fault:
            raise
        except LangmodelsError as error:
            if "\n" in str(error) or len(str(error)) < 10:
                raise Fault(f"no sentence: {error!s:.200}") from error
            outcome = "sentence"
        except _Unsound as error:
            if not any(issubclass(w.category, FileWarning) for w in caught):
                raise Fault(f"not sound, and not said: {error}") from error
            outcome = "sentence"
        except Exception as error:
            raise Fault(f"{type(error).__name__}: {error!s:.200}") from error
    if time.process_time() - began > _SECONDS:
        raise Fault(f"took {time.process_time() - began:.1f} s")
    if _memory() - before > _MEMORY:
        raise Fault(f"took {(_memory() - before) >> 20} MB")
    return outcome


class _Unsound(Exception):
    """A distribution that does not sum to one."""


def _model(path: Path) -> None:
    model = load_any(path)
    if isinstance(model, LanguageModel):
        _walk(model)
    else:
        scores = model.score_blanks(corpus())  # type: ignore[attr-defined]
        if not (scores <= 1e-6).all():
            raise _Unsound("blanks with scores above 0")


def _binary(path: Path) -> None:
    """One of KenLM's: no checksum, so that sums may be any, but no probability is above one."""
    model = open_ngrams(path)
    assert isinstance(model, KenLMModel)
    state = model.start()
    for word in model.vocabulary.encode(["the", "queen", "of", "hearts"]).tolist():
        log_p = model.log_distribution(state)
        if np.isnan(log_p).any():
            raise _Unsound("log p is no number")
        state = model.advance(state, word)
    model.token_scores("the queen of hearts")
    model.score_many(["alice was beginning to get very tired"] * 3)
    model.predict("the queen", 3)
    model.sample(max_tokens=4, seed=1)
    if model.header.is_trie:
        model.tables.check()


def _walk(model: LanguageModel[Any]) -> None:
    """Distributions along a text of the model's own, and its score."""
    if isinstance(model, EncoderDecoderModel):
        model = model.given("the cat")
        model.translate(["the cat"], width=2, max_tokens=4)
    rng = np.random.default_rng(0)
    normal = model.normalized()
    state, tokens = normal.start(), []
    for _ in range(6):
        p = np.exp(normal.log_distribution(state))
        if not abs(p.sum() - 1) < _TOLERANCE:
            raise _Unsound(f"probabilities after {tokens} sum to {p.sum()}")
        if p[1] != 0:
            raise _Unsound("<s> is predicted")
        tokens.append(int(rng.choice(len(p), p=p / p.sum())))
        if tokens[-1] == model.vocabulary.eos_id:
            break
        state = normal.advance(state, tokens[-1])
    sequence = [t for t in tokens if t != model.vocabulary.eos_id]
    scores = normal.token_scores(sequence)
    if np.isnan(scores).any() or (scores > _TOLERANCE).any():
        raise _Unsound(f"scores {scores}")
    model.predict((), 3)
    model.sample(max_tokens=4, seed=1)


def _checkpoint(path: Path) -> None:
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    model = checkpointed().fit(corpus(), corpus(), checkpoint=str(copy))
    if not np.isfinite(model.network.parameters.flat).all():
        raise _Unsound("weights that are not finite")


def _counts(path: Path) -> None:
    model = NGramModel(2).fit_counts(read_counts([path]))
    _walk(model)


def _compressed(path: Path) -> None:
    decompress(path.read_bytes())


def _run(path: Path) -> None:
    found = read_run(path, Run)
    if found is None:
        raise LangmodelsError("The run is measured again.")
    if not (np.asarray(found.scores) <= 1e-4).all():
        raise _Unsound("scores that are none")


def _work(path: Path) -> None:
    """A work folder in which a run goes on: the model is that of a run which was never ended."""
    folder, key = path.parent / "work", "damaged"
    folder.mkdir(exist_ok=True)
    with work_folder(folder, key) as work:
        pass
    work.mkdir()
    for name, data in apart(path.read_bytes()).items():
        (work / name).write_bytes(data)
    saved = path.with_name("work.lm")
    options: dict[str, Any] = {"memory": 4 << 30, "folder": folder, "key": key}
    with fitted_within(NGramModel(3), read_stored, **options) as (model, _):
        model.save(saved)
    wanted = NGramModel(3).fit(corpus()).tables
    for one, other in zip(*map(_columns, (load_any(saved).tables, wanted)), strict=True):
        if not np.array_equal(one, other):
            raise _Unsound("another model")


def _columns(tables: NGramTables) -> list[Any]:
    return [*tables.words, *tables.child_start, *tables.log_prob, *tables.backoff]


def _comparison(path: Path) -> None:
    Comparison.load(path).records()


def _read_by(*arguments: str) -> Callable[[Path], None]:
    """A judge that gives a file to a command, in which it stands for PATH."""

    def judge(path: Path) -> None:
        model, text, lists, costs = (
            path.with_name(f"judge.{ending}") for ending in ("lm", "txt", "kaldi", "costs")
        )
        if not model.exists():
            text.write_text(TEXT)
            lists.write_text(LISTS)
            costs.write_text(COSTS)
            NGramModel(2).fit(corpus()).save(model)
        places = {"PATH": path, "MODEL": model, "TEXT": text, "OUTPUT": path.with_name("out.lm")}
        places |= {"LISTS": lists, "COSTS": costs}
        line = list(arguments)
        for word, place in places.items():
            line = [argument.replace(word, str(place)) for argument in line]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(line)
        # What a file says, and is printed again, may well be "nan".
        wrong = fault([*line, "nan"], status, out.getvalue(), err.getvalue())
        if wrong:
            raise Fault(wrong)
        if status:
            raise LangmodelsError(err.getvalue().strip().splitlines()[-1])

    return judge


_JUDGES: dict[str, Callable[[Path], None]] = {
    ".jsonl": _read_by("score", "MODEL", "--file", "PATH?text=sentence", "--json"),
    ".parquet": _read_by("evaluate", "MODEL", "--corpus", "PATH?text=sentence", "--json"),
    ".csv": _read_by("surprisal", "MODEL", "--corpus", "PATH?text=sentence,id=item"),
    ".nbest": _read_by("rescore", "MODEL", "--nbest", "PATH"),
    ".kaldi": _read_by("rescore", "MODEL", "--nbest", "PATH", "--scores", "COSTS"),
    ".costs": _read_by("rescore", "MODEL", "--nbest", "LISTS", "--scores", "PATH"),
    ".sentences": _read_by(
        *("train", "--corpus", "TEXT", "--level", "sentencepiece:file=PATH", "--model"),
        *("mkn:order=2", "-q", "-o", "OUTPUT"),
    ),
    ".words": _read_by("train", "--corpus", "TEXT", "--vocabulary", "PATH", "-q", "-o", "OUTPUT"),
    ".pieces": _read_by(
        *("train", "--corpus", "TEXT", "--level", "pieces:file=PATH", "-q", "-o", "OUTPUT")
    ),
    ".lm": _model,
    ".arpa": _model,
    ".gz": _model,
    ".xz": _model,
    ".bin": _binary,
    ".ckpt": _checkpoint,
    ".compressed": _compressed,
    ".counts": _counts,
    ".run": _run,
    ".json": _comparison,
    ".work": _work,
}


def _memory() -> int:
    """The most memory that this process had so far, bytes."""
    if resource is None:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
