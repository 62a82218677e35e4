"""Shannon's game: guess the next letter; the numbers of guesses bound the language's entropy.

C. E. Shannon (1951), "Prediction and Entropy of Printed English", Bell System Technical Journal 30.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels.arrays import IndexArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.playground.classroom import Classroom
from langmodels.playground.fields import Fields
from langmodels.playground.room import Room

LETTERS, BEFORE, FEWEST = 40, 120, 10
"""Letters to guess in a game, characters shown before them, and the fewest letters to guess where
the text is short."""
KEYS = 64
"""Most keys of the keyboard on the page."""
HANDED_IN = 2000
"""Games that are kept."""


def folded(letter: str) -> str:
    """The form of a letter in which equal guesses coincide: lower case, and one white space."""
    if letter.isspace():
        return " "
    lower = letter.lower()
    return lower if len(lower) == 1 else letter


@dataclass(frozen=True)
class Passage:
    """A stretch of a text: `before` is shown, and then `letters` are guessed.

    `asked`: the indices of `letters` that are guessed, that is all but white space that follows
    white space.
    """

    before: str
    letters: str
    asked: tuple[int, ...]


def passage(text: str, seed: int, letters: int = LETTERS) -> Passage:
    """A random passage of a text with `letters` letters to guess, fewer if the text is short.

    The letters begin at the beginning of a word, if there are blanks. Raises LangmodelsError for a
    text that is too short.
    """
    before = min(BEFORE, len(text) // 3)
    letters = min(letters, (len(text) - before) // 2)
    if letters < FEWEST:
        raise LangmodelsError("The test part of this text is too short for the game.")
    rng = np.random.default_rng(seed)
    begin = before + int(rng.integers(0, len(text) - before - 2 * letters + 1))
    blank = text.find(" ", begin, begin + letters // 2)
    begin = blank + 1 if blank >= 0 else begin
    asked: list[int] = []
    end = begin
    while len(asked) < letters and end < len(text):
        if not (text[end].isspace() and text[end - 1].isspace()):
            asked.append(end - begin)
        end += 1
    return Passage(text[begin - before : begin], text[begin:end], tuple(asked))


def guesses(model: LanguageModel[Any], found: Passage) -> tuple[list[int], list[float]]:
    """How a model of characters guesses each letter that is asked.

    Returns the rank of the right letter (as `folded`) in the model's distribution, which is its
    number of guesses, and the letter's surprisal in bits.
    """
    vocabulary = model.vocabulary
    kinds = [folded(vocabulary.token(i)) for i in range(len(vocabulary))]
    number = {kind: k for k, kind in enumerate(dict.fromkeys(kinds))}
    kind_of: IndexArray = np.array([number[kind] for kind in kinds])
    state = model.state(list(found.before))
    asked = set(found.asked)
    ranks, bits = [], []
    for place, letter in enumerate(found.letters):
        if place in asked:
            p = np.bincount(kind_of, np.exp(model.log_distribution(state)), len(number))
            right = p[number.get(folded(letter), kind_of[vocabulary.unk_id])]
            ranks.append(int(np.count_nonzero(p > right)) + 1)
            bits.append(-math.log2(right) if right > 0 else math.inf)
        state = model.advance(state, vocabulary.id(letter))
    return ranks, bits


def estimate(ranks: Sequence[int]) -> dict[str, Any]:
    """Bounds of the entropy, in bits a letter, from the numbers of guesses that letters took.

    With q_r the share of letters that took r guesses, Shannon's equation 17 bounds the entropy from
    above by -sum q_r log q_r and from below by sum r (q_r - q_{r+1}) log r. The latter requires
    that q falls; where chance makes it rise, its values are sorted. The upper bound is corrected
    for small samples (Miller 1955), with a standard error from the variance of -log q.
    """
    if not ranks:
        return {"letters": 0, "first": None, "upper": None, "lower": None, "interval": None}
    r = np.asarray(ranks, np.int64)
    n = len(r)
    counts = np.bincount(r)[1:]
    q = np.append(np.sort(counts / n)[::-1], 0.0)
    seen = q[q > 0]
    plain = float(-(seen * np.log2(seen)).sum())
    upper = plain + (len(seen) - 1) / (2 * n * math.log(2))
    places = np.arange(1, len(q))
    lower = float((places * (q[:-1] - q[1:]) * np.log2(places)).sum())
    error = math.sqrt(max(0.0, float((seen * np.log2(seen) ** 2).sum()) - plain**2) / n)
    return {
        "letters": n,
        "first": float(np.count_nonzero(r == 1)) / n,
        "upper": upper,
        "lower": min(lower, upper),
        "interval": [max(0.0, upper - 1.96 * error), upper + 1.96 * error],
    }


def game(room: Room, seed: int, letters: int = LETTERS) -> dict[str, Any]:
    """The data of a game: the passage, the keys, and the guesses of each model."""
    found = passage(room.splits.test.text or "", seed, letters)
    kinds: dict[str, int] = {}
    counts, vocabulary = room.counts(1).counts[0], room.splits.train.vocabulary
    for i in range(vocabulary.n_special, len(vocabulary)):
        kind = folded(vocabulary.token(i))
        kinds[kind] = kinds.get(kind, 0) + int(counts[i])
    for place in found.asked:
        kinds.setdefault(folded(found.letters[place]), 0)
    keys = sorted(kinds, key=lambda kind: (-kinds[kind], kind))
    models = []
    for name, model in room.ready():
        if list(model.tokenizer.tokenize(found.before)) == list(found.before):  # letter by letter
            ranks, bits = guesses(model, found)
            record = {"ranks": ranks, "bits": bits, "estimate": estimate(ranks)}
            models.append({"model": name, **record, "mean": sum(bits) / len(bits)})
    return {
        "before": found.before,
        "letters": found.letters,
        "asked": list(found.asked),
        "right": [folded(found.letters[place]) for place in found.asked],
        "keys": keys[:KEYS],
        "kinds": len(keys),
        "training": [
            s.name for s in list(room.slots.values()) if s.status in ("waiting", "training")
        ],
        "models": models,
    }


def _ranks(fields: Fields) -> list[int]:
    """Parse the numbers of guesses in the field `ranks`."""
    text = fields.text("ranks", "", most=20_000)
    try:
        ranks = [int(part) for part in text.split()]
    except ValueError:
        raise UsageError("The field ranks is a row of whole numbers.") from None
    if any(not 1 <= rank <= 100_000 for rank in ranks):
        raise UsageError("A number of guesses is at least 1.")
    return ranks


def _game(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    room = classroom.room(fields.text("text", ""), "char")
    return game(room, fields.whole("seed", 0, 0, 2**31))


def _estimate(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    return estimate(_ranks(fields))


def _hand_in(classroom: Classroom, fields: Fields, who: str) -> dict[str, Any]:
    """Add a visitor's game to those of all, and return the estimate from them together."""
    key, ranks = fields.text("text", ""), _ranks(fields)
    if ranks:
        classroom.pool.append({"text": key, "ranks": ranks[: 10 * LETTERS], "who": who})
        del classroom.pool[:-HANDED_IN]
    mine = [each for each in classroom.pool if each["text"] == key]
    everyone = [rank for each in mine for rank in each["ranks"]]
    return {"games": len(mine), "people": len({m["who"] for m in mine}), **estimate(everyone)}


ACTIONS = {"shannon": _game, "estimate": _estimate, "hand_in": _hand_in}
