"""Next word: what each model predicts after a context, and drawing from it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from langmodels.models.base import LanguageModel
from langmodels.models.decoding import Decoding
from langmodels.playground.classroom import Classroom
from langmodels.playground.fields import Fields
from langmodels.playground.room import Room
from langmodels.teaching import predict_next
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import BOS

Models = Sequence[tuple[str, LanguageModel[Any]]]
MOST = 50
"""Most tokens that are listed."""


def next_word(
    models: Models,
    context: str,
    decoding: Decoding,
    *,
    k: int = 10,
    token: str | None = None,
) -> list[dict[str, Any]]:
    """The `k` most probable next tokens by each model, and the probability of `token`.

    For each token, `prob` is p(token | context) and `chosen` the probability with which `decoding`
    draws it. `surprisals`: -log2 p of each token of the context. `problem`: why `token` is not a
    token of the model, else empty. Where sequences have ends, only the last line of the context
    counts.
    """
    return [_of_model(name, model, context, decoding, k, token) for name, model in models]


def _of_model(
    name: str,
    model: LanguageModel[Any],
    context: str,
    decoding: Decoding,
    k: int,
    token: str | None,
) -> dict[str, Any]:
    line = last_line(model, context)
    pieces = 1 if token is None else _pieces(model, token)
    found = predict_next(model, line, k, token if pieces == 1 else None, name)
    tokens = list(found.context)
    log_p = model.log_distribution(model.state(tokens))
    chosen = decoding.probabilities(log_p)
    ids = model.vocabulary
    last = tokens[-1] if tokens else ""
    record = {name: value for name, value in found.records().items() if name != "temperature"}
    for each in record["candidates"]:
        each["chosen"] = float(chosen[ids.id(each["token"])])
        each["glue"] = glue(model.tokenizer, last, each["token"]) if tokens else ""
    if record["asked"] is not None:
        each = record["asked"]
        each["chosen"] = float(chosen[ids.id(each["token"])])
        each["log_prob"] = float(log_p[ids.id(each["token"])])
    scores = model.token_scores(tokens)[: len(tokens)] if tokens else np.empty(0)
    record["problem"] = (
        "" if pieces == 1 else f"“{token}” is {pieces} tokens for this model; ask for one."
    )
    record["surprisals"] = (-scores / math.log(2)).tolist()
    record["separator"] = model.tokenizer.separator
    record["types"] = ids.n_predictable
    record["kept"] = int(np.count_nonzero(chosen))
    return record


def _pieces(model: LanguageModel[Any], token: str) -> int:
    """Into how many tokens of a model a word is cut."""
    if token in model.vocabulary and token != BOS:
        return 1
    return len(model.tokenize(token))


def last_line(model: LanguageModel[Any], context: str) -> str:
    """The part of a context that a model uses: its last line, where lines are sequences."""
    return context.rpartition("\n")[2] if model.tokenizer.ends else context


def glue(tokenizer: Tokenizer, last: str, token: str) -> str:
    """The text between two tokens in running text: a blank, or nothing."""
    return " " if tokenizer.detokenize([last, token]) == f"{last} {token}" else ""


def roll(model: LanguageModel[Any], context: str, decoding: Decoding, seed: int) -> dict[str, Any]:
    """Draw the next token; the same seed gives the same token."""
    tokens = list(model.tokenize(last_line(model, context)))
    rng = np.random.default_rng(seed)
    drawn = decoding.choose(model.log_distribution(model.state(tokens)), rng)
    token = model.vocabulary.token(drawn)
    return {
        "token": token,
        "glue": glue(model.tokenizer, tokens[-1], token) if tokens else "",
        "ends": drawn == model.vocabulary.eos_id,
    }


def decoding_of(fields: Fields, *, unk: bool) -> Decoding:
    """The way of drawing that the page's sliders set."""
    top_k = fields.maybe("top_k", 1, 1e6)
    return Decoding(
        fields.number("temperature", 1.0, 0.0, 10.0),
        None if top_k is None else int(top_k),
        fields.maybe("top_p", 1e-6, 1.0),
        unk,
    )


def room_of(classroom: Classroom, fields: Fields) -> Room:
    """The room of the text and level that a request names."""
    return classroom.room(fields.text("text", ""), fields.text("level", ""))


def _next(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    room = room_of(classroom, fields)
    models = room.ready(fields.some("models"))
    context = fields.text("context", "")
    k = fields.whole("k", 10, 1, MOST)
    token = fields.optional("token")
    return {"models": next_word(models, context, decoding_of(fields, unk=True), k=k, token=token)}


def _roll(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    model = room_of(classroom, fields).model(fields.text("model"))
    seed = fields.whole("seed", 0, 0, 2**31)
    return roll(model, fields.text("context", ""), decoding_of(fields, unk=False), seed)


ACTIONS = {"next": _next, "roll": _roll}
