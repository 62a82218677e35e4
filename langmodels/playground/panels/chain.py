"""Chain rule: a sentence as a product of probabilities, and how each is computed."""

import math
from contextlib import suppress
from typing import Any, cast

from langmodels.errors import UsageError
from langmodels.models.base import LanguageModel
from langmodels.models.unigram import UnigramModel
from langmodels.neural.recurrent.model import RecurrentModel
from langmodels.neural.recurrent.network import States
from langmodels.ngram import NGramModel
from langmodels.playground.classroom import Classroom
from langmodels.playground.fields import Fields
from langmodels.playground.panels.next_word import Models, room_of
from langmodels.playground.room import Room
from langmodels.teaching import chain_rule
from langmodels.teaching.calculation import calculation
from langmodels.text.vocabulary import Vocabulary


def chains(models: Models, sentence: str) -> list[dict[str, Any]]:
    """The chain rule by each model: `ChainRule.records` and the surprisal of each token in bits."""
    found = []
    for name, model in models:
        chain = chain_rule(model, sentence, name)
        record = chain.records()
        record["separator"] = chain.separator
        record["bits"] = [-step.log_prob / math.log(2) for step in chain.steps]
        found.append(record)
    return found


def cell(model: LanguageModel[Any], room: Room, sentence: str, position: int) -> dict[str, Any]:
    """How one factor is computed: the n-gram calculation, if it can be shown, and the lookup.

    `path`, for n-gram models: the look-ups, longest context first; each has the back-off weight of
    a context after which the token was not found, and the last one the token's probability.
    `state`, for recurrent networks: the hidden units of the last layer, from which the factor is
    computed. Raises UsageError for a position outside the sentence.
    """
    tokens = list(model.tokenize(sentence))
    predicted = [*tokens, "</s>"] if model.tokenizer.ends else tokens
    if not 0 <= position < len(predicted):
        raise UsageError("There is no such token in the sentence.")
    token, context = predicted[position], tokens[:position]
    candidates = model.predict(context, 5)
    record: dict[str, Any] = {
        "token": token,
        "prob": model.prob(token, context),
        "candidates": [{"token": t, "prob": p} for t, p in candidates],
        "calculation": None,
        "path": [],
        "state": None,
    }
    if isinstance(model, NGramModel):
        record["path"] = _path(model, context, token)
    if isinstance(model, RecurrentModel) and model.window is None:
        states = model.state(context)
        record["state"] = model.network.top(cast(States, states))[0].tolist()
    if isinstance(model, NGramModel | UnigramModel) and model.vocabulary is vocabulary_of(room):
        with suppress(UsageError):  # of a smoothing method from elsewhere, or pruned
            order = model.order if isinstance(model, NGramModel) else 1
            found = calculation(model, room.counts(order), context, token)
            record["calculation"] = found.records()
    return record


def vocabulary_of(room: Room) -> Vocabulary:
    """The vocabulary of models trained in the room; models with another have other counts."""
    return room.splits.train.vocabulary


def _path(model: NGramModel, context: list[str], token: str) -> list[dict[str, Any]]:
    """The look-ups in a model's tables, one for each context; see `cell`."""
    vocabulary, tables = model.vocabulary, model.lookup
    seen = ["<s>", *(vocabulary.token(i) for i in vocabulary.encode(context).tolist())]
    state = model.state(context)
    asked = vocabulary.id(token)
    _, found = model.score_next(state, asked)
    steps = []
    for length in range(len(state), found - 1, -1):
        rest = tables.backing_off(state[: length - 1])
        if rest > -math.inf:
            step = tables.backing_off(state[:length]) - rest
        else:  # shorter contexts give unseen words no probability: take the ratio of the scores
            long, short = (model.score_next(state[:n], asked)[0] for n in (length, length - 1))
            step = long - short if short > -math.inf else -math.inf
        steps.append({"context": seen[len(seen) - length :], "weight": math.exp(step)})
    p = model.score_next(state[: found - 1], asked)[0]
    steps.append({"context": seen[len(seen) - found + 1 :], "prob": math.exp(p)})
    return steps


def _chain(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    room = room_of(classroom, fields)
    sentence = fields.text("sentence", most=600)
    return {"models": chains(room.ready(fields.some("models")), sentence)}


def _cell(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    room = room_of(classroom, fields)
    model = room.model(fields.text("model"))
    sentence, position = fields.text("sentence", most=600), fields.whole("position", 0, 0, 600)
    return cell(model, room, sentence, position)


ACTIONS = {"chain": _chain, "cell": _cell}
