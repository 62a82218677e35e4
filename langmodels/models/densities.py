"""Densities and samples of numeric series, from models of their bins."""

from typing import Any

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import FloatArray
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.text.corpus import Corpus
from langmodels.text.series import SeriesTokenizer, parse_numbers
from langmodels.text.vocabulary import Vocabulary


def log_densities(model: LanguageModel[Any], text: str) -> FloatArray:
    """Log density of each number of a series given those before it, in nats, (n,).

    The model must be one of series. The mean over a text never seen is what to compare models on
    different bins by. -inf where the vocabulary lacks the bin. Raises UsageError for a model of
    something else, LangmodelsError for what is not a series.
    """
    tokenizer = model.tokenizer
    if not isinstance(tokenizer, SeriesTokenizer):
        raise UsageError("Densities are for models of series (level series).")
    corpus = Corpus.from_text(text, tokenizer, vocabulary=model.vocabulary)
    scores = model.score_corpus(corpus) + tokenizer.quantizer.log_densities(tokenizer.values(text))
    return np.where(corpus.targets == Vocabulary.unk_id, -np.inf, scores)


@checked
def sample_series(
    model: LanguageModel[Any], n: int, prompt: str = "", *, seed: int | None = None, **options: Any
) -> FloatArray:
    """Numbers that a model of series draws after a prompt: bins, then a number out of each.

    `options` are those of `LanguageModel.sample`. Gives n numbers, or with differences n + 1, the
    first of which is the last of the prompt, or of the training text without one.
    """
    tokenizer = model.tokenizer
    if not isinstance(tokenizer, SeriesTokenizer):
        raise UsageError("Only a model of series (level series) draws numbers.")
    rng = np.random.default_rng(seed)
    tokens = model.sample(prompt, max_tokens=n, seed=rng, **options)
    drawn = tokenizer.numbers(tokens, rng)
    if tokenizer.differences and prompt.split():
        drawn = drawn + (parse_numbers(prompt)[-1] - tokenizer.start)
    return drawn
