"""How a text is read: cleaned, tokenized, and encoded as ids."""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import Array, IndexArray, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.storage import read_json
from langmodels.text.cleaning import clean, is_linewise
from langmodels.text.indexing import encode_chunks
from langmodels.text.levels import restore_tokenizer
from langmodels.text.lines import LONGEST_LINE, LineEndWarning, check_length
from langmodels.text.sequences import Sequences
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import BOS, EOS, UNK, Vocabulary

Text = str | Sequence[str] | Sequence[int] | Array
"""The forms in which a sequence may be given: a string, a list of tokens, or ids."""


@dataclass(frozen=True)
class Reading:
    """How strings become ids: a value shared by a corpus and the models fitted to it.

    `cleaning` (names in `CLEANINGS`, joined by `+`) is applied first, then `tokenizer`, and
    `vocabulary` maps tokens to ids.

    >>> from langmodels.text.words import WordTokenizer
    >>> reading = Reading(WordTokenizer(), Vocabulary(["the", "cat"]), "lower")
    >>> reading.tokens("The cat!")
    ['the', 'cat', '!']
    >>> reading.encode("The cat!").tolist()
    [3, 4, 0]
    """

    tokenizer: Tokenizer
    vocabulary: Vocabulary
    cleaning: str = "none"

    @checked
    def is_like(self, other: "Reading") -> bool:
        """Whether cleaning and tokenizer are the same, whatever the vocabulary."""
        return self.metadata() == other.metadata()

    @checked
    def knows_the_same(self, other: "Reading") -> bool:
        """Whether every text has the same tokens, with the same ones unknown."""
        return self.is_like(other) and self.vocabulary.knows_the_same(other.vocabulary)

    def tokens(self, text: str) -> Sequence[str]:
        """The tokens of a text, which is read as one sequence.

        For tokenizers of words, `<s>` and `</s>` typed around it are dropped, as boundaries are
        added anyway; inside the text they are unknown words. Warns of line ends in it if a line is
        a sequence.
        """
        if not isinstance(text, str):
            raise UsageError(f"Only a string can be cut into tokens, not {type(text).__name__}.")
        text = "".join(clean([text], self.cleaning))
        if self.vocabulary.ends and "\n" in text and "\n" in text.strip():
            warnings.warn(
                "A sequence holds line ends, which end nothing there: its lines are one sequence "
                "with one end. The lines of a file are a sequence each, and in Python those of a "
                "text for score_texts and Corpus.read_by.",
                LineEndWarning,
                stacklevel=3,
            )
        text, _ = self.tokenizer.without_marks(text)
        tokens = self.tokenizer.tokenize(text)
        if BOS in text or EOS in text:
            tokens = [UNK if token in (BOS, EOS) else token for token in tokens]
        return tokens

    @property
    def has_lines(self) -> bool:
        """Whether each line of a text as it is written is a sequence."""
        return self.vocabulary.ends and is_linewise(self.cleaning)

    def characters(self, text: str) -> int:
        """The length of a text in characters, without `<s>` and `</s>` typed around its lines."""
        return len(self.tokenizer.without_marks(text)[0])

    def encode(self, text: Text) -> IntArray:
        """The token ids of a sequence given as a string, tokens or ids, without boundaries.

        Raises UsageError for ids outside the vocabulary, for `<s>`, which is never predicted, and
        for lists whose items are texts of several tokens.
        """
        return self._encoded(text)[0]

    @checked
    def decode(self, ids: Iterable[int]) -> list[str]:
        """The tokens of ids."""
        return self.vocabulary.decode(ids)

    @checked
    def text(self, tokens: Iterable[str]) -> str:
        """Join tokens into running text."""
        return self.tokenizer.detokenize(tokens)

    def sequences(self, texts: Sequence[Text], *, unknown: bool = False) -> Sequences:
        """Encode texts, each as one sequence with boundaries; empty ones are kept.

        With `unknown` the tokens that become `<unk>` are kept. Raises what `encode` raises.
        """
        if len(texts) > 1 and self.has_lines:
            # Fast path: joined, they are a text of as many lines.
            lines = [t for t in texts if isinstance(t, str) and "\n" not in t]
            if len(lines) == len(texts):
                together = self._together("\n".join(lines), len(lines), unknown)
                if together is not None:
                    return together
        parts = [self._encoded(text) for text in texts]
        found = Sequences.bounded((ids for ids, _ in parts), self.vocabulary)
        if not unknown:
            return found
        kept = [
            str(tokens[i])
            for ids, tokens in parts
            for i in np.flatnonzero(ids == Vocabulary.unk_id).tolist()
        ]
        return Sequences(found.ids, found.offsets, unknown=kept)

    def lines(self, texts: Sequence[str], *, unknown: bool = False) -> tuple[Sequences, IndexArray]:
        """Encode the lines of texts, each as one sequence with boundaries; blank ones are kept.
        Also returns the index of the text of each line, (S,).

        Where cleaning goes over line ends, they are the lines that it leaves. Raises
        LangmodelsError for a line longer than `LONGEST_LINE`.
        """
        if not is_linewise(self.cleaning):
            cleaned = ["".join(clean([text], self.cleaning)) for text in texts]
            return replace(self, cleaning="none").lines(cleaned, unknown=unknown)
        n_lines = np.fromiter((text.count("\n") + 1 for text in texts), np.int64, len(texts))
        text_of = np.repeat(np.arange(len(texts)), n_lines)
        whole = "\n".join(texts)
        if len(whole) > LONGEST_LINE:
            for line in whole.split("\n"):
                check_length(line, "A line of a document")
        found = self._together(whole, len(text_of), unknown) if self.has_lines else None
        if found is None:
            found = self.sequences(whole.split("\n"), unknown=unknown)
        return found, text_of

    def _together(self, text: str, n_lines: int, unknown: bool) -> Sequences | None:
        """The lines of a text in array code; None if that finds another number of lines."""
        text, _ = self.tokenizer.without_marks("".join(clean([text, "\n"], self.cleaning)))
        (ids, offsets, _), words = encode_chunks(
            [text], self.tokenizer, self.vocabulary, unknown=unknown, blank_lines=True
        )
        if len(offsets) != n_lines + 1:
            return None
        return Sequences(ids, offsets, unknown=words)

    def _encoded(self, text: Text) -> tuple[IntArray, Sequence[Any]]:
        """Ids, and the tokens that they encode (`<unk>` where ids were given)."""
        vocabulary = self.vocabulary
        if isinstance(text, str):
            tokens = self.tokens(text)
            return vocabulary.encode(tokens), tokens
        if isinstance(text, Set | Mapping | bytes) or not isinstance(text, Iterable):
            raise _no_sequence(text)
        items = text if isinstance(text, np.ndarray) else list(text)
        if len(items) == 0:
            return np.empty(0, np.int32), ()
        if all(isinstance(token, str) for token in items):
            given = list(map(str, items))
            self._check_tokens(given)
            return vocabulary.encode(given), given
        ids = np.array([])
        with suppress(ValueError):  # ragged nested lists
            ids = np.asarray(items)
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise _no_sequence(text)
        for outermost in (int(ids.min()), int(ids.max())):
            vocabulary.check_id(outermost)
        if (ids == Vocabulary.bos_id).any():
            raise UsageError(f"{BOS} marks the beginning; it cannot stand inside a sequence.")
        return ids.astype(np.int32), (UNK,) * len(ids)

    def _check_tokens(self, tokens: list[str]) -> None:
        for mark in (BOS, EOS):
            if mark in tokens:
                raise UsageError(f"{mark} is added by itself; leave it out of the tokens.")
        for token in tokens:
            if token in self.vocabulary or not self.tokenizer.is_several(token):
                continue
            raise UsageError(
                f"{token!r} is no token but several: a list is one sequence of tokens. Give a text "
                "as one string, and several texts to score_many."
            )

    # Files ----------------------------------------------------------------------------------

    def metadata(self) -> dict[str, str]:
        """Tokenizer and cleaning, for storage."""
        tokenizer = {"level": self.tokenizer.level, **self.tokenizer.config()}
        return {"tokenizer": json.dumps(tokenizer), "cleaning": self.cleaning}

    def arrays(self) -> dict[str, Array]:
        """The vocabulary as arrays, for storage."""
        return self.vocabulary.to_arrays()

    @classmethod
    def restore(cls, metadata: Mapping[str, str], arrays: Mapping[str, Array]) -> "Reading":
        """Inverse of `metadata` and `arrays`. Raises LangmodelsError, ValueError or KeyError."""
        tokenizer = restore_tokenizer(read_json(metadata["tokenizer"]))
        cleaning = metadata.get("cleaning", "none")
        clean((), cleaning)  # raises for an unknown name
        vocabulary = Vocabulary.from_arrays(arrays)
        if tokenizer.ends != vocabulary.ends:
            raise LangmodelsError("only one of its tokenizer and its vocabulary has line ends.")
        return cls(tokenizer, vocabulary, cleaning)


def _no_sequence(text: object) -> UsageError:
    return UsageError(
        "A sequence is a string, a list of tokens, or a list of token ids, and this "
        f"{type(text).__name__} is none of them."
    )


class _Reads(Protocol):
    @property
    def reading(self) -> Reading: ...


class WithReading:
    """A mixin for classes with a `reading`: shortcuts to its parts."""

    @property
    def vocabulary(self: _Reads) -> Vocabulary:
        """The vocabulary of the reading."""
        return self.reading.vocabulary

    @property
    def tokenizer(self: _Reads) -> Tokenizer:
        """The tokenizer of the reading."""
        return self.reading.tokenizer

    @property
    def cleaning(self: _Reads) -> str:
        """The cleaning of the reading: names in `CLEANINGS`, joined by `+`."""
        return self.reading.cleaning
