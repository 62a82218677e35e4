"""Long-range recall: after how many symbols a model still knows a cue."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from langmodels.arguments import Seed, checked
from langmodels.arrays import FloatArray, IndexArray
from langmodels.datasets.synthetic import RecallSource
from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.teaching.pictures import LINES, picture
from langmodels.text.corpus import Corpus
from langmodels.text.sequences import Sequences
from langmodels.text.tokenization import SymbolTokenizer

RECALL_NETWORK: Mapping[str, Any] = MappingProxyType(
    {"hidden": 48, "embedding": 16, "dropout": 0.0, "epochs": 12, "learning_rate": 0.007}
)
"""Settings with which gated networks learn to keep a cue over forty symbols.

Six epochs are too few for some seeds of an LSTM: the loss falls late, and then suddenly.
"""


@dataclass(frozen=True)
class RecallCurve:
    """Accuracy by lag: `accuracy[name][i]` is the share of cues recalled after `lags[i]` symbols.

    `chance`: the accuracy of guessing.
    """

    lags: tuple[int, ...]
    accuracy: dict[str, FloatArray]
    chance: float


@checked
def recall_corpora(source: RecallSource, validation: float = 0.1) -> tuple[Corpus, Corpus]:
    """Training and validation lines of a source, each line a sequence."""
    lines = source.generate().splitlines(keepends=True)
    cut = max(1, round(len(lines) * (1 - validation)))
    tokenizer = SymbolTokenizer(1, lines=True)
    train = Corpus.from_text("".join(lines[:cut]), tokenizer, name=source.name)
    held_out = "".join(lines[cut:]) or lines[-1]
    return train, Corpus.from_text(held_out, tokenizer, vocabulary=train.vocabulary)


@checked
def recall_curve(
    models: Mapping[str, LanguageModel[Any]],
    source: RecallSource,
    lags: Sequence[int],
    *,
    lines: int = 100,
    seed: Seed = 0,
) -> RecallCurve:
    """How often each fitted model recalls the cue, by lag.

    For every lag, `lines` fresh lines are made of a cue and so many distractors. The cue is
    recalled if the model gives it the highest probability of all cues; of n equally probable cues,
    it counts as 1/n. Raises UsageError for negative lags, and for models of another alphabet.
    """
    if not lags or min(lags) < 0 or lines < 1:
        raise UsageError("Lags must be at least 0, and there must be at least one line.")
    rng = np.random.default_rng(seed)
    accuracy: dict[str, list[float]] = {name: [] for name in models}
    for lag in lags:
        cues = rng.integers(0, source.cues, lines)
        distractors = rng.integers(0, source.distractors, (lines, lag))
        for name, model in models.items():
            log_p = _recall_scores(model, source, cues, distractors)
            right = log_p[np.arange(lines), cues][:, None]
            best = (log_p > right).sum(axis=1) == 0
            draws = (log_p == right).sum(axis=1)
            accuracy[name].append(float((best / draws).mean()))
    return RecallCurve(
        tuple(lags), {name: np.array(a) for name, a in accuracy.items()}, 1 / source.cues
    )


def _recall_scores(
    model: LanguageModel[Any],
    source: RecallSource,
    cues: IndexArray,
    distractors: IndexArray,
) -> FloatArray:
    """Log p of every cue after a cue and its distractors, (lines, cues)."""
    characters = source.alphabet.replace("\n", "")
    ids = model.vocabulary.encode(list(characters))
    if (ids == model.vocabulary.unk_id).any():
        raise UsageError(f"The model does not know the alphabet of {source.name}.")
    n, lag = distractors.shape
    rows = np.empty((n, source.cues, lag + 3), np.int32)
    rows[:, :, 0] = model.vocabulary.bos_id
    rows[:, :, 1] = ids[cues][:, None]
    rows[:, :, 2:-1] = ids[source.cues + distractors][:, None]
    rows[:, :, -1] = ids[: source.cues]
    scores = model.scores(Sequences.rows(rows.reshape(-1, lag + 3)))
    return scores.reshape(n, source.cues, lag + 2)[:, :, -1]


def plot_recall(curve: RecallCurve, path: str | os.PathLike[str]) -> None:
    """Draw the curve into a file: .png, .svg or .pdf. Raises what `pictures.picture` raises."""
    with picture(path) as (axes,):
        for k, (name, accuracy) in enumerate(curve.accuracy.items()):
            axes.plot(curve.lags, accuracy, LINES[k % len(LINES)], label=name)
        axes.axhline(curve.chance, linestyle=":", color="gray", label="guessing")
        axes.set_xticks(curve.lags)
        axes.set(xlabel="symbols between cue and recall", ylabel="cues recalled", ylim=(0, 1.03))
        axes.legend()
