"""Densities and samples of numeric series, from models of their bins."""

from typing import Any

import numpy as np

from langmodels.arguments import Seed, checked
from langmodels.arrays import FloatArray
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.text.corpus import Corpus
from langmodels.text.series import SeriesTokenizer, parse_numbers
from langmodels.text.vocabulary import Vocabulary


def log_densities(model: LanguageModel[Any], text: str) -> FloatArray:
    """Log density of each number of a series given those before it, in nats, (n,).

    The model must be of level `series`. The mean over a held-out text compares models whatever
    their bins are. -inf for a number whose bin is not in the vocabulary. Raises UsageError for a
    model of another level, LangmodelsError for a text that is not a series of numbers.
    """
    tokenizer = model.tokenizer
    if not isinstance(tokenizer, SeriesTokenizer):
        raise UsageError("Densities are for models of series (level series).")
    corpus = Corpus.from_text(text, tokenizer, vocabulary=model.vocabulary)
    scores = model.score_corpus(corpus) + tokenizer.quantizer.log_densities(tokenizer.values(text))
    return np.where(corpus.targets == Vocabulary.unk_id, -np.inf, scores)


@checked
def sample_series(
    model: LanguageModel[Any], n: int, prompt: str = "", *, seed: Seed | None = None, **options: Any
) -> FloatArray:
    """Numbers drawn from a model of series after a prompt: bins are sampled, then a number within
    each.

    `options` are those of `LanguageModel.sample`. Returns n numbers; for a model of differences n +
    1, the first of which is the last number of the prompt (without one, of the training text).
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
