"""KenLM's Python module, on the n-gram models of this package.

A program that was written for `kenlm` runs on langmodels after

    import sys
    import langmodels.compat.kenlm
    sys.modules["kenlm"] = langmodels.compat.kenlm

Names, arguments, units (log10), flags and n-gram lengths are KenLM's; see
https://github.com/kpu/kenlm. Models are ARPA files, the binary files of KenLM's `build_binary` and
those that `NGramModel.save` writes.
"""

import math
import os
import re
from collections.abc import Iterator
from functools import total_ordering
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import FloatArray, IntArray
from langmodels.errors import LangmodelsError
from langmodels.ngram.opening import open_ngrams
from langmodels.ngram.tables import State as Context
from langmodels.text.vocabulary import BOS, EOS, TokenIds, Vocabulary

_LOG10 = math.log(10.0)
_UNK, _BOS = Vocabulary.unk_id, Vocabulary.bos_id
_WORDS = re.compile(r"[^\t\n\v\f\r ]+").findall  # str.split() would also split at other spaces


class FullScoreReturn(NamedTuple):
    """What `BaseFullScore` returns: log10 p, the length of the n-gram found, whether it is OOV."""

    log_prob: float
    ngram_length: int
    oov: bool


class ARPALoadComplain:
    """What to complain about while an ARPA file is read; accepted, and without effect."""

    ALL, EXPENSIVE, NONE = 0, 1, 2


class LoadMethod:
    """How a binary file is loaded; accepted, and without effect: files are mapped."""

    LAZY, POPULATE_OR_LAZY, POPULATE_OR_READ, READ, PARALLEL_READ = range(5)


class Config:
    """Options of `Model`; accepted, and without effect."""

    def __init__(self) -> None:
        self.show_progress = True
        self.arpa_complain = ARPALoadComplain.ALL
        self.load_method = LoadMethod.POPULATE_OR_READ


@total_ordering
class State:
    """The context of the next word: as much of the words before as can matter to it.

    Filled in by `Model`; it can be compared, hashed, copied and pickled. Equal states of one model
    give every continuation the same score.
    """

    __slots__ = ("_context",)

    def __init__(self) -> None:
        self._context: Context = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self._context == other._context

    def __lt__(self, other: "State") -> bool:
        return self._context < other._context

    def __hash__(self) -> int:
        return hash(self._context)

    def __copy__(self) -> "State":
        copy = State()
        copy._context = self._context
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> "State":
        return self.__copy__()


class Model:
    """A model read from a file, ARPA or langmodels' own.

    Raises OSError where the file is missing or broken, as KenLM does.
    """

    def __init__(self, path: str | bytes | os.PathLike[str], config: Config | None = None) -> None:
        self.path = os.path.abspath(os.fsencode(path))  # noqa: PTH100 - bytes, as in KenLM
        self._name = os.fsdecode(path)
        try:
            self._model = open_ngrams(self._name)
        except LangmodelsError as error:
            raise OSError(f"Cannot read model '{self._name}' ({error})") from error
        self._tables = self._model.lookup
        self._step = self._tables.step
        vocabulary = self._model.vocabulary
        self._ids = TokenIds(vocabulary.text_ids)
        self._ids[BOS] = vocabulary.bos_id  # in a sentence for KenLM, boundaries are words
        if vocabulary.eos_id is not None:
            self._ids[EOS] = vocabulary.eos_id

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return self._tables.order

    def score(self, sentence: str | bytes, bos: bool = True, eos: bool = True) -> float:
        """Log10 p(sentence </s> | <s>), or without the boundaries that are switched off."""
        return float(self._scores(sentence, bos, eos)[0].sum())

    def full_scores(
        self, sentence: str | bytes, bos: bool = True, eos: bool = True
    ) -> Iterator[tuple[float, int, bool]]:
        """For each word, and `</s>`: log10 p, the length of the n-gram found, whether it is OOV."""
        log_p, lengths, ids = self._scores(sentence, bos, eos)
        return zip(log_p.tolist(), lengths.tolist(), (ids == _UNK).tolist(), strict=True)

    def _scores(
        self, sentence: str | bytes, bos: bool, eos: bool
    ) -> tuple[FloatArray, NDArray[np.int16], IntArray]:
        """Log10 p, the length of the n-gram found, and the id of each word of a sentence."""
        words = _WORDS(_text(sentence))
        if eos and EOS in self._ids:
            words.append(EOS)
        ids = np.fromiter(map(self._ids.__getitem__, words), np.int32, len(words))
        begin = np.array([_BOS] * bos, np.int32)
        log_p, lengths = self._tables.score(np.concatenate([begin, ids]))
        log10_p = log_p[len(begin) :] / _LOG10
        log10_p[ids == _BOS] = 0.0  # as `_log10` has it
        return log10_p, lengths[len(begin) :], ids

    def perplexity(self, sentence: str | bytes) -> float:
        """The perplexity of a sentence, `</s>` counted as a word."""
        n_words = len(_WORDS(_text(sentence))) + 1
        perplexity: float = 10.0 ** (-self.score(sentence) / n_words)
        return perplexity

    def __contains__(self, word: str | bytes) -> bool:
        return self._id(word) != _UNK

    def BeginSentenceWrite(self, state: State) -> None:
        """Make `state` the context at the beginning of a sentence."""
        state._context = self._tables.start()

    def NullContextWrite(self, state: State) -> None:
        """Make `state` the empty context."""
        state._context = ()

    def BaseScore(self, in_state: State, word: str | bytes, out_state: State) -> float:
        """Log10 p(word | in_state); `out_state` becomes the context after the word."""
        token = self._id(word)
        log_p, _, out_state._context = self._step(in_state._context, token)
        return _log10(log_p, token)

    def BaseFullScore(
        self, in_state: State, word: str | bytes, out_state: State
    ) -> FullScoreReturn:
        """`BaseScore` with the length of the n-gram found and whether the word is OOV."""
        token = self._id(word)
        log_p, length, out_state._context = self._step(in_state._context, token)
        return FullScoreReturn(_log10(log_p, token), length, token == _UNK)

    def _id(self, word: str | bytes) -> int:
        return self._ids[word if isinstance(word, str) else _text(word)]

    def __repr__(self) -> str:
        return f"<Model from {os.fsencode(Path(self._name).name)!r}>"

    def __reduce__(self) -> tuple[type["Model"], tuple[bytes]]:
        return type(self), (self.path,)


class LanguageModel(Model):
    """The name that `Model` had at first."""


def _text(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")


def _log10(log_p: float, token: int) -> float:
    # ARPA files give <s>, which is always there, log10 p = 0.
    return log_p / _LOG10 if token != _BOS else 0.0
