"""Finished models on one text, as they are: what each pays for it, and which is better.

No training text is needed where all models read alike: their tokens are the same, and what tokens
do not say is the same for all. Where they do not, each pays for every character, as in `compare`;
what unknown words and spaces cost is then learnt on a training text.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.evaluation.alignment import align
from langmodels.evaluation.characters import TextCosts, resampled, text_costs, token_costs
from langmodels.evaluation.results import PairedTest
from langmodels.evaluation.significance import paired_tests
from langmodels.evaluation.statistics import block_sums, bootstrap_interval
from langmodels.models.base import LanguageModel
from langmodels.registry import load
from langmodels.text.corpus import Corpus
from langmodels.text.splits import Splits
from langmodels.text.streams import RawText, TextStream, text_stream
from langmodels.text.vocabulary import Vocabulary

AnyModel = LanguageModel[Any] | str | os.PathLike[str]


@dataclass(frozen=True)
class Figures:
    """A model's averages over a text; `interval` is that of `bits`, None where these are infinite.

    `bits` are per what the models share, see `Evaluation.per`; alone, per token.
    `perplexity_without_oov` leaves out the unknown tokens, and is NaN where all are;
    `is_distribution` is false for scores that were renormalised; `caveat` is what the model has to
    say of its figures, if anything.
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
    """Several finished models on one text, best first, and tests of neighbours.

    `per`: what `Figures.bits` and the tests are per: "token" where all models have the same ones,
    else "char" of the raw text, everything that tokens do not say paid for. `resampled`: what
    intervals and tests are over, `units` "blocks" of the text or its "documents".
    """

    per: str
    models: list[Figures]
    tests: list[PairedTest]
    resampled: str = "blocks"
    units: int = 0


def figures(name: str, model: LanguageModel[Any], corpus: Corpus, scores: FloatArray) -> Figures:
    """Averages of log p, in nats, (n,), of the targets of a corpus."""
    unknown = corpus.targets == Vocabulary.unk_id
    loss = -float(scores.mean())
    bits = loss / math.log(2)
    return Figures(
        model=name,
        tokens=corpus.n_tokens,
        sequences=corpus.n_sequences,
        characters=corpus.characters,
        oov_tokens=int(unknown.sum()),
        oov_rate=float(unknown.mean()),
        zero_probability_tokens=int(np.isneginf(scores).sum()),
        perplexity=_exp(loss),
        perplexity_without_oov=math.nan
        if unknown.all()
        else _exp(-float(scores.mean(where=~unknown))),
        bits_per_token=bits,
        bits_per_character=-float(scores.sum()) / math.log(2) / corpus.characters,
        is_distribution=model.is_distribution,
        bits=bits,
        caveat=model.caveat,
    )


def measure(name: str, model: LanguageModel[Any], corpus: Corpus) -> tuple[Figures, FloatArray]:
    """Figures of one model, and log p of every target in nats.

    Raises LangmodelsError, naming model and token, where a score is no log probability.
    """
    try:
        scores = model.normalized().score_corpus(corpus)
    except LangmodelsError as error:
        raise LangmodelsError(f"{name}: {error}") from None
    return figures(name, model, corpus, scores), scores


def evaluate(
    models: Mapping[str, AnyModel] | Sequence[AnyModel],
    text: RawText,
    *,
    training_text: RawText | None = None,
    carry: bool = False,
    seed: int = 0,
    against: str | None = None,
) -> Evaluation:
    """Measure finished models on a text, which was cleaned as theirs were.

    Args:
        models: models or paths of their files; a mapping gives them labels.
        text: what they are to predict.
        training_text: where models read differently, what unknown words and spaces cost is learnt
            from it.
        carry: state is carried over the lines of a document, which is the whole text where it
            is not a stream of several.
        seed: of intervals and tests.
        against: label of the model that all others are tested against, or "all" for every pair;
            none: neighbours in the ranking are tested.

    Raises LangmodelsError where a training text is needed and missing, and where a score is no log
    probability; UsageError for labels that are there twice.
    """
    models = _labelled(models)
    stream = text_stream(text)
    whole = "".join(stream)
    if training_text is not None:
        training_text = "".join(text_stream(training_text))
    corpora = {
        name: Corpus.from_text(
            TextStream([whole], stream.lines),
            model.tokenizer,
            vocabulary=model.vocabulary,
            name=name,
            keep_text=True,
        )
        for name, model in models.items()
    }
    first = next(iter(models.values()))
    alike = all(model.reading.knows_the_same(first.reading) for model in models.values())
    measured: list[tuple[Figures, FloatArray]] = []
    sizes, units = np.empty(0), "blocks"
    for name, model in models.items():
        corpus = corpora[name]
        costs = _positions(corpus) if alike else _paid(corpus, training_text)
        found, scores = measure(name, model, corpus.carried() if carry else corpus)
        bits = (costs.extra - scores) / math.log(2)
        found = replace(found, bits=float(bits.sum()) / (len(bits) if alike else costs.length))
        edges, units = resampled(costs, corpus)
        sizes = block_sums(np.ones(len(bits)), costs.ends, edges) if alike else np.diff(edges)
        blocks = np.empty(0)
        if math.isfinite(found.bits):
            blocks = block_sums(bits, costs.ends, edges)
            found = replace(found, interval=bootstrap_interval(blocks, sizes, seed=seed))
        if not alike:
            found = replace(found, bits_per_character=found.bits)
        measured.append((found, blocks))
    measured.sort(key=lambda pair: (pair[0].bits, pair[0].model))
    finite = [(found.model, blocks) for found, blocks in measured if len(blocks)]
    best_first = [found for found, _ in measured]
    tests = paired_tests(finite, sizes, against, seed)
    return Evaluation("token" if alike else "char", best_first, tests, units, len(sizes))


def _labelled(
    models: Mapping[str, AnyModel] | Sequence[AnyModel],
) -> dict[str, LanguageModel[Any]]:
    if not isinstance(models, Mapping):
        labels = [
            type(m).__name__ if isinstance(m, LanguageModel) else os.fspath(m) for m in models
        ]
        if len(set(labels)) < len(labels):
            raise UsageError(f"Two models have one label; label them: {', '.join(labels)}.")
        models = dict(zip(labels, models, strict=True))
    if not models:
        raise UsageError("There is nothing to evaluate; give at least one model.")
    return {
        label: model if isinstance(model, LanguageModel) else load(model)
        for label, model in models.items()
    }


def _positions(corpus: Corpus) -> TextCosts:
    """Where in the text the targets end, with nothing to be paid beyond them."""
    splits = Splits(corpus, corpus, corpus, "")
    text = corpus.text or ""
    try:
        if corpus.tokenizer.reversible and not corpus.tokenizer.ends:
            ends = corpus.tokenizer.token_ends(text)
        else:
            ends = align(text, corpus.tokenizer).ends
    except LangmodelsError:
        return token_costs(splits)
    if len(ends) != corpus.n_tokens:
        return token_costs(splits)
    return TextCosts(ends, np.zeros(len(ends)), len(text))


def _paid(corpus: Corpus, training_text: RawText | None) -> TextCosts:
    """What everything that the tokens do not say costs."""
    train = corpus
    if training_text is not None:
        train = Corpus.from_text(
            training_text, corpus.tokenizer, vocabulary=corpus.vocabulary, keep_text=True
        )
    elif corpus.tokenizer.ends or not (corpus.tokenizer.reversible and corpus.tokenizer.alphabet):
        raise LangmodelsError(
            f"{corpus.name} reads the text in other tokens than the rest, so that only bits per "
            "character compare; what words leave out of them is learnt on a training text: use "
            "`langmodels compare --models A,B --corpus TRAINING --test TEXT`, or --part test."
        )
    return text_costs(Splits(train, train, corpus, ""))


def _exp(loss: float) -> float:
    return math.exp(loss) if loss < 700 else math.inf
