"""The exercises of the lessons; their answers are computed, not stored."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from langmodels import notebooks
from langmodels.datasets import find_source
from langmodels.errors import UsageError
from langmodels.ngram import NGramModel
from langmodels.text.corpus import Corpus

TOY = "the dog barks\nthe dog sleeps\na cat sleeps"
"""The three sentences of the second lesson."""


@dataclass(frozen=True)
class Exercise:
    """A correct answer, with a relative tolerance, and a hint for wrong ones."""

    answer: Callable[[], float | str]
    hint: str
    tolerance: float = 0.01


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and what the student is told."""

    right: bool
    text: str

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def _repr_html_(self) -> str:
        colour = "#2e8b57" if self.right else "#c0562f"
        return f'<p style="color:{colour}"><b>{notebooks.escaped(self.text)}</b></p>'


@cache
def _tale() -> Corpus:
    return Corpus.from_text(find_source("wonderland.txt").read(), "word")


def _was_after_it() -> float:
    return NGramModel(order=2, smoothing="mle").fit(_tale()).prob("was", context="it")


def _laplace_dog() -> float:
    toy = Corpus.from_text(TOY, "word")
    return NGramModel(order=2, smoothing="laplace").fit(toy).prob("dog", context="the")


def _continuation() -> float:
    """Types of bigrams that end in "sleeps" among all types of bigrams of `TOY`, `<s>` included."""
    pairs = set()
    for line in TOY.splitlines():
        words = ["<s>", *line.split(), "</s>"]
        pairs |= set(pairwise(words))
    return sum(second == "sleeps" for _, second in pairs) / len(pairs)


def through_time(w: float = 0.5, u: float = 0.8) -> tuple[list[float], float, float, float]:
    """The example of the fourth lesson, a network of one unit: h_t = tanh(w x_t + u h_{t-1}).

    Reads 1, 0, -1 from h_0 = 0 and pays (h_3 - 1)^2 / 2. Returns h_1 to h_3, the loss, dL/dw and
    dL/du by back-propagation through time (Werbos 1990).
    """
    xs = (1.0, 0.0, -1.0)
    hs = [0.0]
    for x in xs:
        hs.append(math.tanh(w * x + u * hs[-1]))
    loss = (hs[3] - 1) ** 2 / 2
    dh, dw, du = hs[3] - 1, 0.0, 0.0
    for t in (3, 2, 1):
        da = dh * (1 - hs[t] ** 2)
        dw += da * xs[t - 1]
        du += da * hs[t - 1]
        dh = da * u
    return hs[1:], loss, dw, du


EXERCISES: dict[str, Exercise] = {
    "1.1": Exercise(_was_after_it, "Divide c(it was) by the count of all that follows it."),
    "1.2": Exercise(lambda: 4.0, "Average the bits, 1, 2 and 3; perplexity is 2 to that power."),
    "2.1": Exercise(_laplace_dog, "V counts everything that may follow: words, <unk> and </s>."),
    "2.2": Exercise(_continuation, "Count types of bigrams, each once, with <s> and </s>."),
    "3.1": Exercise(lambda: math.log2(100) / 5.2, "Bits of a word, spread over its characters."),
    "3.2": Exercise(lambda: 1000.0, "Every word costs log2(1000) bits."),
    "4.1": Exercise(lambda: through_time(u=0.5)[3], "Run the backward pass again with u = 0.5."),
    "4.2": Exercise(
        lambda: 100 * 16 + (16 + 32 + 1) * 32 + (32 + 1) * 100,
        "An embedding for each token, the recurrent layer with its bias, the output with its bias.",
        tolerance=0.0,
    ),
    "5.1": Exercise(lambda: 0.9**50, "Every step back multiplies by u."),
    "5.2": Exercise(lambda: 0.6, "(3, 4) has the norm 5; clipping keeps the direction."),
    "6.1": Exercise(lambda: 990.0, "A window and the character after it must fit.", 0.0),
    "6.2": Exercise(lambda: math.exp(1.355), "A loss in nats is a logarithm to the base e."),
    "7.1": Exercise(lambda: 0.75, "exp(0) = 1 and exp(ln 3) = 3."),
    "7.2": Exercise(lambda: 21.0, "Token t looks at t tokens, itself included.", 0.0),
    "8.1": Exercise(lambda: "mixture", "The first row of the table."),
    "8.2": Exercise(lambda: 500.0, "0.1 bits for each of 5,000 characters.", 0.0),
}


def check(number: str, answer: Any) -> Verdict:
    """Whether an answer to an exercise of the lessons is right.

    Raises UsageError where there is no exercise of this number.

    >>> check("1.2", 4)
    1.2 is right.
    """
    if number not in EXERCISES:
        raise UsageError(f"There is no exercise {number}; they are {', '.join(EXERCISES)}.")
    exercise = EXERCISES[number]
    if answer is None or answer is ...:
        return Verdict(False, f"{number} waits for an answer.")
    want = exercise.answer()
    if isinstance(want, str):
        right = str(answer).strip().lower() == want
    else:
        try:
            right = bool(np.isclose(float(answer), want, rtol=exercise.tolerance, atol=0))
        except (TypeError, ValueError):
            return Verdict(False, f"{number} asks for a number, not {answer!r}.")
    return Verdict(right, f"{number} is right." if right else f"{number}: not yet. {exercise.hint}")
