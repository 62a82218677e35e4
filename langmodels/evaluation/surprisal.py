"""Surprisal of the words of a text, for models of any tokens.

Words are separated by white space. The surprisal of a word is the sum over its tokens, which are
subwords, characters or bytes, or a word and the punctuation attached to it. Where tokens include
white space, the blank between two words must be assigned to one of them. Subword tokenizers put it
at the beginning of the next word; but the blank marks the end of the word before it, and only if it
is assigned to that word do the probabilities of all possible words sum to one: Oh and Schuler 2024,
"Leading Whitespaces of Language Models' Subword Vocabulary Pose a Confound for Calculating Word
Probabilities"; the same correction is in Pimentel and Meister 2024, "How to Compute the Probability
of a Word".
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import BoolArray, FloatArray, IndexArray, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.base import LanguageModel
from langmodels.text.corpus import Corpus
from langmodels.text.reading import Reading
from langmodels.text.vocabulary import BOS, EOS, Vocabulary

_WORD = re.compile(r"\S+")
BLANKS = ("after", "before")


@dataclass(frozen=True, eq=False)
class WordSurprisals:
    """The surprisal of the W words of a text.

    `starts`, `ends` (W,): their offsets in the text, in characters. `bits` (W,): their surprisal.
    `n_tokens` (W,): the number of their tokens, 0 for a word that shares its only token with a
    neighbour, to which that is assigned. `unknown` (W,): whether one of the tokens is `<unk>`.
    `word_of` (n,): the word of each target of the model, -1 for `</s>`. `target_bits` (n,): the
    surprisal of each target, with the ends of words assigned as asked for; `bits.sum() + rest` is
    the surprisal of the text. `corpus`: the text as the model reads it.
    """

    starts: IndexArray
    ends: IndexArray
    bits: FloatArray
    n_tokens: IndexArray
    unknown: BoolArray
    word_of: IndexArray
    target_bits: FloatArray
    corpus: Corpus = field(repr=False)

    @property
    def rest(self) -> float:
        """Bits of the targets that belong to no word."""
        return float(self.target_bits[self.word_of < 0].sum())


@checked
def word_surprisals(
    model: LanguageModel[Any], text: str, *, blanks: str = "after", carry: bool = False
) -> WordSurprisals:
    """The surprisal of every word of a text, in bits.

    Args:
        model: a fitted model.
        text: one or several lines.
        blanks: "after" assigns the event that a word ends, by a blank or the end of the line, to
            that word (Oh and Schuler 2024); "before" leaves the blank with the word that follows,
            as a plain sum over tokens does. Without effect where tokens hold no white space.
        carry: whether state is carried from each line to the next.

    Raises LangmodelsError where tokens cannot be found in the text, or where cleaning it changes
    the number of words; UsageError for another value of `blanks`.

    >>> import langmodels
    >>> model = langmodels.make_model("mkn:order=2").fit(["the cat sat", "a cat ran"])
    >>> found = word_surprisals(model, "the cat sat.")
    >>> found.ends.tolist(), found.n_tokens.tolist(), found.unknown.tolist()
    ([3, 7, 12], [1, 1, 2], [False, False, True])
    """
    if blanks not in BLANKS:
        raise UsageError(f"Blanks are assigned {' or '.join(BLANKS)}, not {blanks!r}.")
    corpus = Corpus.read_by(model.reading, text, keep_text=True)
    corpus = corpus.carried() if carry else corpus
    words = _words_of(text, corpus)
    bits = model.score_corpus(corpus) / -math.log(2)
    targets = corpus.targets
    is_end: BoolArray = np.zeros(len(targets), np.bool_)
    if corpus.vocabulary.eos_id is not None:
        is_end = targets == corpus.vocabulary.eos_id
    word_of = np.full(len(targets), -1, np.int64)
    word_of[~is_end] = _owners(corpus)
    if blanks == "after":
        bits = _moved(bits, model, corpus, word_of)
    at, n = word_of[~is_end], len(words)
    return WordSurprisals(
        words[:, 0],
        words[:, 1],
        np.bincount(at, weights=bits[~is_end], minlength=n).astype(np.float64),
        np.bincount(at, minlength=n),
        np.bincount(at, weights=(targets == Vocabulary.unk_id)[~is_end], minlength=n) > 0,
        word_of,
        bits,
        corpus,
    )


def _spans(text: str) -> IndexArray:
    """The offsets of the beginning and end of each word of a text, (W, 2)."""
    return np.array([m.span() for m in _WORD.finditer(text)], np.int64).reshape(-1, 2)


def _words_of(text: str, corpus: Corpus) -> IndexArray:
    """The offsets of the words of a text, (W, 2), without boundary marks, which are no words.

    Raises LangmodelsError where the cleaned text has another number of words.
    """
    words = _spans(text)
    n = len(_spans(corpus.text or ""))
    if len(words) > n:  # boundary marks are none
        words = words[[text[a:b] not in (BOS, EOS) for a, b in words.tolist()]]
    if len(words) != n:
        raise LangmodelsError(
            f"The cleaning {corpus.cleaning!r} changes the number of words; clean the text first, "
            "and compute the surprisal of the cleaned text."
        )
    return words


def _owners(corpus: Corpus) -> IndexArray:
    """The word of each target but `</s>`: the one that its last character is in, or precedes."""
    text = corpus.text or ""
    tokenizer = corpus.tokenizer
    ends = tokenizer.token_ends(text)
    if tokenizer.ends:
        tokens = tokenizer.tokenize_lines(text)
        ends = ends[[token != tokenizer.line_end for token in tokens]]
    words = _spans(text)
    # White space at the end of the text belongs to the last word.
    return np.minimum(np.searchsorted(words[:, 1], ends - 1, side="right"), len(words) - 1)


def _moved(
    bits: FloatArray, model: LanguageModel[Any], corpus: Corpus, word_of: IndexArray
) -> FloatArray:
    """The bits of targets, (n,), with the end of each word assigned to its last target.

    A word ends where the next target begins with white space or is `</s>`. The cost of that event,
    -log2 of the summed probability of all such tokens, is moved from that target to the one before.
    """
    opening = _opening(corpus.reading)
    if len(opening) <= int(corpus.vocabulary.ends):
        return bits  # no token holds a blank
    opens = np.zeros(len(corpus.vocabulary), np.bool_)
    opens[opening] = True
    first = np.zeros(len(bits), np.bool_)
    first[1:] = word_of[1:] != word_of[:-1]
    starts = (corpus.offsets - np.arange(len(corpus.offsets)))[:-1]  # targets have no <s>
    first[starts] = False
    first &= opens[corpus.targets]
    moved = bits.copy()
    at = np.flatnonzero(first)
    costs = _ending_bits(model, corpus, first, opening)
    moved[at] -= costs
    moved[at - 1] += costs
    return moved


def _opening(reading: Reading) -> IndexArray:
    """The ids of tokens that end the word before them: `</s>`, and those that begin with white
    space.
    """
    tokens = reading.vocabulary.tokens
    return np.flatnonzero([t == EOS or reading.tokenizer.reads(t)[:1].isspace() for t in tokens])


def _ending_bits(
    model: LanguageModel[Any], corpus: Corpus, wanted: BoolArray, opening: IndexArray
) -> FloatArray:
    """-log2 of the summed probability of `opening` at the targets that are `wanted` (n,)."""

    def ending(log_p: FloatArray, _: IntArray) -> FloatArray:
        found: FloatArray = np.logaddexp.reduce(log_p[:, opening], axis=1)[:, None]
        return found

    bits: FloatArray = model.from_distributions(corpus, ending, 1, wanted)[wanted, 0]
    return bits / -math.log(2)
