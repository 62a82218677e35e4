"""Memory and gradients: what networks keep of a sentence, and how far back gradients reach."""

from typing import Any

import numpy as np

from langmodels.arrays import Array
from langmodels.datasets.synthetic import RecallSource
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.neural.recurrent.model import RecurrentModel
from langmodels.neural.transformer.model import TransformerModel
from langmodels.playground.classroom import Classroom
from langmodels.playground.fields import Fields
from langmodels.playground.panels.next_word import room_of
from langmodels.playground.room import Room
from langmodels.presets import Setting
from langmodels.registry import make_model
from langmodels.teaching.attention import attention_of
from langmodels.teaching.gradients import gate_activations, gradient_by_lag
from langmodels.teaching.recall import RECALL_NETWORK, recall_corpora, recall_curve
from langmodels.text.corpus import Corpus

TOKENS, UNITS = 60, 64
"""Most tokens and units that are shown."""
LAGS = 20
RECALL = ("witten-bell:order=5", "rnn", "gru", "lstm")
RECALL_LENGTH, RECALL_LAG = 150_000, 40


def activations(model: LanguageModel[Any], text: str) -> dict[str, Any]:
    """Every gate and state over the first tokens of a text: `layers[k].gates[name]` (T, H).

    Raises UsageError for a model without gates and for an empty text.
    """
    if not isinstance(model, RecurrentModel) or model.reads_spelling:
        raise UsageError("Only recurrent networks have hidden units and gates to show.")
    tokens = list(model.tokenize(text))[:TOKENS]
    layers = []
    for gates in gate_activations(model, tokens):
        shown = {name: _short(array[:, :UNITS]) for name, array in gates.items()}
        layers.append({"units": int(next(iter(gates.values())).shape[1]), "gates": shown})
    return {"tokens": tokens, "layers": layers, "cell": model.cell}


def attention(model: LanguageModel[Any], text: str, name: str) -> dict[str, Any]:
    """How much each token of a text attends to each: `weights` (layers, heads, T, T).

    Raises UsageError for a model that has no attention.
    """
    found = attention_of(model, list(model.tokenize(text))[: TOKENS - 1], name)
    return {"tokens": list(found.tokens), "weights": _short(found.weights)}


def gradients(model: LanguageModel[Any], corpus: Corpus, lags: int = LAGS) -> dict[str, Any]:
    """The norm of the gradient of the loss by earlier states, (layers, lags), relative to lag 0.

    For the trained network, and for the same one before training. Raises UsageError for a model
    without recurrence, LangmodelsError for a text of short lines.
    """
    if not isinstance(model, RecurrentModel) or model.reads_spelling or model.window is not None:
        raise UsageError("Only recurrent networks have a gradient by lag.")
    fresh = type(model)(**model.get_params()).untrained(corpus)
    record: dict[str, Any] = {"lags": list(range(lags))}
    for name, each in (("trained", model), ("untrained", fresh)):
        norms = gradient_by_lag(each, corpus, lags=lags, samples=48)
        record[name] = (norms / norms[:, :1]).tolist()
    return record


def recall(length: int = RECALL_LENGTH, lag: int = RECALL_LAG) -> dict[str, Any]:
    """How often models recall the first symbol of a line, by lag, after training for that task."""
    source = RecallSource(cues=4, lag=0, spread=lag, distractors=2, length=length)
    train, validation = recall_corpora(source)
    setting = Setting(level="symbols", seed=0)
    models = {}
    for name in RECALL:
        options = {**RECALL_NETWORK, "steps": lag + 20} if ":" not in name else {}
        models[name] = make_model(name, setting, **options).fit(train, validation)
    lags = sorted({round(x) for x in np.linspace(0, lag, 11)})
    curve = recall_curve(models, source, lags, lines=100)
    return {
        "lags": list(curve.lags),
        "accuracy": {name: a.tolist() for name, a in curve.accuracy.items()},
        "chance": curve.chance,
    }


def _short(array: Array) -> list[Any]:
    """Numbers rounded to four decimals, more than a picture can show."""
    short: list[Any] = np.round(array.astype(np.float64), 4).tolist()
    return short


def _memory(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    room = room_of(classroom, fields)
    name, text = fields.text("model"), fields.text("sentence", most=600)
    model = room.model(name)
    if isinstance(model, TransformerModel):
        return {"attention": attention(model, text, name), "activations": None}
    return {"attention": None, "activations": activations(model, text)}


def _gradients(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    room = room_of(classroom, fields)
    name = fields.text("model")
    model = room.model(name)
    found: dict[str, Any] = room.keep(f"gradients {name}", lambda: _by_lag(room, model))
    return found


def _by_lag(room: Room, model: LanguageModel[Any]) -> dict[str, Any]:
    """As far back as the lines of the text allow, which a model from a file reads in its tokens."""
    train = room.splits.train
    if model.vocabulary is not train.vocabulary:
        train = Corpus.read_by(model.reading, train.stream())
    for lags in (LAGS, 12, 6):
        try:
            return gradients(model, train, lags)
        except UsageError:
            raise
        except LangmodelsError:
            continue
    raise LangmodelsError("The lines of this text are too short for gradients by lag.")


def _recall(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    """The recall curve, which is the same for all visitors; the first request starts it."""
    begin = fields.flag("begin")
    return classroom.job("recall", who, recall if begin else None, trains=True).record()


ACTIONS = {"memory": _memory, "gradients": _gradients, "recall": _recall}
