"""`evaluate`: measure finished models on a text and test which is better, without training.

If all models have the same reading, they predict the same tokens, and no training text is needed.
Otherwise bits per character are compared, as in `compare`, and the models that charge for unknown
words and spaces need a training text.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from langmodels.arguments import Seed, checked
from langmodels.arrays import FloatArray, IndexArray, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.alignment import align
from langmodels.evaluation.characters import TextCosts, check_same_text, resampled, text_costs
from langmodels.evaluation.results import PairedTest
from langmodels.evaluation.significance import paired_tests
from langmodels.evaluation.statistics import BlockSums, Places, bootstrap_interval
from langmodels.models.base import LanguageModel
from langmodels.models.scores import perplexity_at
from langmodels.registry import load
from langmodels.text.corpus import Corpus
from langmodels.text.indexing import Pieces
from langmodels.text.lines import parted
from langmodels.text.splits import Splits
from langmodels.text.streams import RawText, TextStream, text_stream
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import Vocabulary

_LOCATED = 1 << 18
"""Characters of a stream whose tokens are located at a time."""

AnyModel = LanguageModel[Any] | str | os.PathLike[str]


@dataclass(frozen=True)
class Figures:
    """The figures of a model on a text; `interval` is that of `bits`, None if these are infinite.

    `bits` are per token or character, as `Evaluation.per` says; for a single model per token.
    `perplexity_without_oov` excludes unknown tokens, and is NaN if all are; `is_distribution` is
    false for scores that were renormalised; `caveat` is a sentence to print beside the figures, or
    empty.
    """

    model: str
    tokens: int
    sequences: int
    characters: int
    oov_tokens: int
    oov_rate: float
    zero_probability_tokens: int
    perplexity: float
    perplexity_without_oov: float
    bits_per_token: float
    bits_per_character: float
    is_distribution: bool
    bits: float
    interval: tuple[float, float] | None = None
    caveat: str = ""


@dataclass(frozen=True)
class Evaluation:
    """The figures of several models on a text, best first, and paired tests.

    `per` is the unit of `Figures.bits` and of the tests: "token" if all models predict the same
    tokens, else "char" of the raw text, extra costs included. Intervals and tests resample `units`
    of the text, which are `resampled`: "blocks" or "documents".
    """

    per: str
    models: list[Figures]
    tests: list[PairedTest]
    resampled: str = "blocks"
    units: int = 0


@dataclass
class _Tally:
    """Running sums over the targets of a text: log p of all and of the known ones in nats, and
    counts.
    """

    log_p: float = 0.0
    known_log_p: float = 0.0
    unknown: int = 0
    impossible: int = 0

    def add(self, targets: IntArray, scores: FloatArray) -> None:
        """Add further targets (n,), and their log p in nats."""
        unknown = targets == Vocabulary.unk_id
        self.log_p += float(scores.sum())
        self.known_log_p += float(scores.sum(where=~unknown))
        self.unknown += int(unknown.sum())
        self.impossible += int(np.isneginf(scores).sum())

    def figures(self, name: str, model: LanguageModel[Any], corpus: Corpus) -> Figures:
        """The figures of the model on the corpus."""
        n, unknown = corpus.n_tokens, self.unknown
        bits = -self.log_p / n / math.log(2)
        return Figures(
            model=name,
            tokens=n,
            sequences=corpus.n_sequences,
            characters=corpus.characters,
            oov_tokens=unknown,
            oov_rate=unknown / n,
            zero_probability_tokens=self.impossible,
            perplexity=perplexity_at(-self.log_p / n),
            perplexity_without_oov=math.nan
            if unknown == n
            else perplexity_at(-self.known_log_p / (n - unknown)),
            bits_per_token=bits,
            bits_per_character=-self.log_p / math.log(2) / corpus.characters,
            is_distribution=model.is_distribution,
            bits=bits,
            caveat=model.caveat,
        )


def measure(
    name: str,
    model: LanguageModel[Any],
    corpus: Corpus,
    each: Callable[[FloatArray], None] = lambda scores: None,
) -> Figures:
    """The figures of one model; `each` is called with the log p of targets in nats, block by block.

    Raises LangmodelsError, which names model and token, for a score that is NaN or above zero.
    """
    tally = _Tally()
    try:
        for targets, scores in model.normalized().score_blocks(corpus):
            tally.add(targets, scores)
            each(scores)
    except LangmodelsError as error:
        raise LangmodelsError(f"{name}: {error}") from None
    return tally.figures(name, model, corpus)


@checked
def evaluate(
    models: AnyModel | Mapping[str, AnyModel] | Sequence[AnyModel],
    text: RawText,
    *,
    training_text: RawText | None = None,
    carry: bool = False,
    seed: Seed = 0,
    against: str | None = None,
) -> Evaluation:
    """Measure finished models on a text, which must be cleaned as theirs were.

    Args:
        models: a model or the path of one, or several; a mapping gives labels.
        text: the test text: a string, the `pathlib.Path` of a file, a list of lines.
        training_text: needed if the models have different readings: the costs of unknown words and
            spaces are estimated on it.
        carry: whether state is carried through the lines of each document (of the whole text, if
            that is not a stream of documents).
        seed: seed of intervals and tests.
        against: label of a model to test all others against, or "all" for every pair; none:
            neighbours in the ranking are tested.

    Raises LangmodelsError if a training text is needed and missing, and for scores that are not log
    probabilities; UsageError for repeated labels.
    """
    models = _labelled(models)
    stream = text_stream(text)
    words = any(model.tokenizer.needs_blanks for model in models.values())
    whole = "".join(parted(stream) if words else stream)
    if training_text is not None:
        training_text = "".join(text_stream(training_text))
    first = next(iter(models.values()))
    alike = all(model.reading.knows_the_same(first.reading) for model in models.values())
    measured: list[tuple[Figures, FloatArray]] = []
    corpus: Corpus | None = None
    layout: _Layout | None = None
    lengths: set[int] = set()
    for name, model in models.items():
        if corpus is None or corpus.reading != model.reading:
            corpus = None  # released before the next is read
            corpus = _read(name, whole, stream.lines, model)
        if not alike:
            layout = _layout_in_characters(name, corpus, training_text)
            lengths.add(layout.per)
            check_same_text(lengths)
        elif layout is None:
            layout = _layout_in_tokens(corpus)
        measured.append(_measured(name, model, corpus.carried() if carry else corpus, layout, seed))
    assert layout is not None  # there is a model
    measured.sort(key=lambda pair: (pair[0].bits, pair[0].model))
    finite = [(found.model, blocks) for found, blocks in measured if len(blocks)]
    best_first = [found for found, _ in measured]
    tests = paired_tests(finite, layout.sizes, against, seed)
    per = "token" if alike else "char"
    return Evaluation(per, best_first, tests, layout.units, len(layout.sizes))


def _labelled(
    models: AnyModel | Mapping[str, AnyModel] | Sequence[AnyModel],
) -> dict[str, LanguageModel[Any]]:
    if isinstance(models, str | os.PathLike | LanguageModel):
        models = [models]
    if not isinstance(models, Mapping):
        labels = [
            type(m).__name__ if isinstance(m, LanguageModel) else os.fspath(m) for m in models
        ]
        if len(set(labels)) < len(labels):
            raise UsageError(
                f"Two models have the same label ({', '.join(labels)}); give a mapping of labels "
                "to models."
            )
        models = dict(zip(labels, models, strict=True))
    if not models:
        raise UsageError("There is nothing to evaluate; give at least one model.")
    return {
        label: model if isinstance(model, LanguageModel) else load(model)
        for label, model in models.items()
    }


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the targets of a text lie in it, and what their losses are divided by.

    `places` are those of the targets in the units that are resampled; `units` is the name of these,
    and `sizes` (B,) are their lengths. Losses grow by `extra` nats (n,), the costs of what is no
    token, None where these are not paid, and are shown per one of `per` tokens or characters.
    """

    places: Places
    units: str
    sizes: FloatArray
    per: int
    extra: FloatArray | None = None


class _Spent:
    """Accumulates the bits of a model on a text, in all and by block."""

    def __init__(self, layout: _Layout) -> None:
        self.blocks, self.bits = BlockSums(layout.places), 0.0
        self._extra, self._n = layout.extra, 0

    def add(self, scores: FloatArray) -> None:
        """Add the log p of the next targets in nats, (n,)."""
        first, self._n = self._n, self._n + len(scores)
        extra = 0.0 if self._extra is None else self._extra[first : self._n]
        bits = (extra - scores) / math.log(2)
        self.bits += float(bits.sum())
        self.blocks.add(bits)


def _measured(
    name: str, model: LanguageModel[Any], corpus: Corpus, layout: _Layout, seed: int
) -> tuple[Figures, FloatArray]:
    """The figures of a model, and its bits in each unit of the text, (B,); (0,) if infinite."""
    spent = _Spent(layout)
    found = measure(name, model, corpus, spent.add)
    found = replace(found, bits=spent.bits / layout.per)
    if layout.extra is not None:
        found = replace(found, bits_per_character=found.bits)
    if not math.isfinite(found.bits):
        return found, np.empty(0)
    blocks = spent.blocks.sums
    return replace(found, interval=bootstrap_interval(blocks, layout.sizes, seed=seed)), blocks


def _read(name: str, text: str, lines: list[int], model: LanguageModel[Any]) -> Corpus:
    """The corpus of a text as a model reads it; it refers to the text without a copy."""
    plain = not model.tokenizer.rare_types  # has no marks that reading takes out
    corpus = Corpus.from_text(
        TextStream([text], lines),
        model.tokenizer,
        vocabulary=model.vocabulary,
        name=name,
        keep_text=not plain,
    )
    corpus = replace(corpus, reading=model.reading)
    return replace(corpus, text=text) if plain else corpus


def _layout_in_tokens(corpus: Corpus) -> _Layout:
    """The layout for losses per token."""
    text = corpus.text or ""
    edges, units = resampled(len(text), "char", corpus)
    try:
        places = Places(edges, _ends(text, corpus.tokenizer))
    except LangmodelsError:
        places = None
    if places is None or places.n != corpus.n_tokens:
        edges, units = resampled(corpus.n_tokens, "token", corpus)
        places = Places(edges, [np.arange(1, corpus.n_tokens + 1)])
    return _Layout(places, units, places.sizes, corpus.n_tokens)


def _layout_in_characters(name: str, corpus: Corpus, training_text: RawText | None) -> _Layout:
    """The layout for losses per character, in which all that is no token is paid for."""
    costs = _paid(name, corpus, training_text)
    edges, units = resampled(costs.length, costs.per, corpus)
    places = Places(edges, [costs.ends])
    return _Layout(places, units, np.diff(edges), costs.length, costs.extra)


def _ends(text: str, tokenizer: Tokenizer) -> Iterator[IndexArray]:
    """Yield the ends of targets in characters, (n,); of a stream in blocks."""
    before = 0
    some = (text[begin : begin + _LOCATED] for begin in range(0, len(text), _LOCATED))
    for piece in [text] if tokenizer.ends else Pieces(some, tokenizer, False):
        if tokenizer.reversible and not tokenizer.ends:
            yield before + tokenizer.token_ends(piece)
        else:
            yield before + align(piece, tokenizer).ends
        before += len(piece)


def _paid(name: str, corpus: Corpus, training_text: RawText | None) -> TextCosts:
    """The extra costs of a text beyond its tokens."""
    train = corpus
    if training_text is not None:
        train = Corpus.from_text(
            training_text, corpus.tokenizer, vocabulary=corpus.vocabulary, keep_text=True
        )
    elif corpus.tokenizer.ends or not (corpus.tokenizer.reversible and corpus.tokenizer.alphabet):
        raise LangmodelsError(
            f"{name} has other tokens, or another vocabulary, than the rest, so only bits per "
            "character compare; the cost of unknown words and spaces is learnt from a training "
            "text: use `langmodels compare --models A,B --corpus TRAINING --test TEXT`, or --part "
            "test."
        )
    return text_costs(Splits(train, train, corpus, ""))
