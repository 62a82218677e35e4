"""The classic first experiment with a recurrent network: windows of a cleaned book, symbol by
symbol.

The text is stripped, lower-cased, reduced to ASCII and joined line by line with spaces; a simple
recurrent network with one-hot input reads windows of 10 characters and learns to predict the next
one. After each pass over all windows it is asked to continue a seed, always with the most probable
character. (The setting is that of A. Gulli and S. Pal, "Deep Learning with Keras", 2017, chapter
6.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels.arguments import Seed, checked
from langmodels.errors import LangmodelsError
from langmodels.neural.recurrent.model import RNNModel
from langmodels.neural.training.history import Epoch
from langmodels.text.corpus import Corpus

WINDOW = 10
SHOWN = 100


@dataclass(frozen=True)
class Iteration:
    """The result of one pass: its figures, the seed, and the characters generated from it."""

    epoch: Epoch
    seed: str
    generated: str


def article_model(iterations: int = 25, seed: Seed = 0, **options: Any) -> RNNModel:
    """The network of the experiment: 128 tanh units, one-hot windows of 10, batches of 128,
    RMSprop.

    `options` replace any of these.
    """
    settings: dict[str, Any] = {
        "hidden": 128,
        "one_hot": True,
        "window": WINDOW,
        "dropout": 0.0,
        "batch_size": 128,
        "optimizer": "rmsprop",
        "learning_rate": 0.001,
        "schedule": "constant",
        "clip_norm": None,
        "epochs": iterations,
        "patience": None,
        "seed": seed,
    }
    return RNNModel(**settings | options)


@checked
def run_article(
    corpus: Corpus,
    show: Callable[[Iteration], None],
    *,
    iterations: int = 25,
    seed: Seed = 0,
    **options: Any,
) -> RNNModel:
    """Train the article's network; `show` is called after every iteration. Returns the model.

    `corpus`: characters of a text cleaned with `cleaning.clean_article`. `options` replace settings
    of `article_model`. Raises LangmodelsError where the text is shorter than a window and one more.
    """
    model = article_model(iterations, seed, **options)
    tokens = corpus.targets
    if len(tokens) <= WINDOW:
        raise LangmodelsError(f"The text must be longer than {WINDOW} characters.")

    def after(epoch: Epoch) -> None:
        start = int(np.random.default_rng([seed, epoch.number]).integers(len(tokens) - WINDOW))
        ids = tokens[start : start + WINDOW]
        generated = model.sample_text(ids, max_tokens=SHOWN, greedy=True)
        show(
            Iteration(epoch, corpus.tokenizer.detokenize(corpus.vocabulary.decode(ids)), generated)
        )

    return model.fit(corpus, after_epoch=after)
