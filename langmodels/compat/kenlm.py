"""A stand-in for KenLM's Python module, which uses the n-gram models of this package.

A program that was written for `kenlm` runs on langmodels after

    import sys
    import langmodels.compat.kenlm
    sys.modules["kenlm"] = langmodels.compat.kenlm

Names, arguments, units (log10), flags and n-gram lengths are KenLM's; see
https://github.com/kpu/kenlm. Models are ARPA files, the binary files of KenLM's `build_binary` and
those that `NGramModel.save` writes.
"""

import itertools
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, total_ordering
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.errors import LangmodelsError
from langmodels.ngram.kenlm import KenLMModel
from langmodels.ngram.lookup import LengthArray, NGramLookup
from langmodels.ngram.opening import open_ngrams
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.wordwise import MOST, WordTable
from langmodels.text.vocabulary import BOS, EOS, UNK, Vocabulary

Context = Any
"""The context of the next word: a node of a table or a tuple of ids; 0 is the empty context."""
_NONE = 0

_LOG10 = math.log(10.0)
_PER_NAT = 1.0 / _LOG10
_UNK, _BOS = Vocabulary.unk_id, Vocabulary.bos_id
# Words are separated by ASCII white space; str.split() also splits at other white space, which a
# printable text does not have.
_WORDS = re.compile(r"[^\t\n\v\f\r ]+").findall
_LONG = 500
"""Words of a sentence beyond which array code is faster than scoring word by word."""
# Makes a named tuple in a third of the time of calling its class.
_FULL = tuple.__new__
_KNOWN = 1 << 18
"""Most steps that are cached, some 300 bytes each; then the cache is emptied."""


class FullScoreReturn(NamedTuple):
    """What `BaseFullScore` returns: log10 p, the length of the n-gram found, whether it is OOV."""

    log_prob: float
    ngram_length: int
    oov: bool


class ARPALoadComplain:
    """What KenLM complains about while it reads an ARPA file; accepted, but without effect."""

    ALL, EXPENSIVE, NONE = 0, 1, 2


class LoadMethod:
    """How KenLM loads a binary file; accepted, but without effect, as files are mapped."""

    LAZY, POPULATE_OR_LAZY, POPULATE_OR_READ, READ, PARALLEL_READ = range(5)


class Config:
    """Options of `Model`; accepted, but without effect."""

    def __init__(self) -> None:
        self.show_progress = True
        self.arpa_complain = ARPALoadComplain.ALL
        self.load_method = LoadMethod.POPULATE_OR_READ


@total_ordering
class State:
    """The context of the next word: as many of the previous words as can influence its score.

    `Model` fills it in. States can be compared, hashed, copied and pickled; equal states of one
    model give every continuation the same score.
    """

    __slots__ = ("_context",)
    _context: Context
    """Missing until it is first written or read: objects without `__init__` are made faster."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and _context_of(self) == _context_of(other)

    def __lt__(self, other: "State") -> bool:
        if not isinstance(other, State):
            return NotImplemented
        mine, theirs = _context_of(self), _context_of(other)
        if _NONE in (mine, theirs):
            return bool(mine == _NONE != theirs)
        return bool(mine < theirs)

    def __hash__(self) -> int:
        return hash(_context_of(self))

    def __copy__(self) -> "State":
        copy = State()
        copy._context = _context_of(self)
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> "State":
        return self.__copy__()


Step = tuple[float, Context, int]
"""(log10 p of a word, the context after it, the length of the n-gram found)."""
Found = tuple[float, int, bool]
"""(log10 p of a word, the length of the n-gram found, whether the word is unknown)."""


class _Numbers(dict[str | bytes, int]):
    """The numbers of words, which may also be bytes; unknown words have that of `<unk>`."""

    def __init__(self, numbers: dict[str, int]) -> None:
        super().__init__(numbers.items())
        self.unknown = numbers[UNK]

    def __missing__(self, word: str | bytes) -> int:
        return self.unknown if isinstance(word, str) else self[_text(word)]


class _Walk(Protocol):
    """A way of scoring words one after another."""

    numbers: _Numbers
    start: Context
    """The context at the beginning of a sentence."""

    def total(self, context: Context, words: list[str], /) -> float:
        """The sum of log10 p of words after a context."""

    def each(self, context: Context, words: list[str], /) -> Iterator[Found]:
        """Log10 p, n-gram length and OOV flag of each word after a context."""

    def base_score(self, in_state: State, word: str | bytes, out_state: State, /) -> float:
        """See `Model.BaseScore`."""

    def base_full_score(
        self, in_state: State, word: str | bytes, out_state: State, /
    ) -> FullScoreReturn:
        """See `Model.BaseFullScore`."""


class _TableWalk:
    """The fastest way, by a `WordTable`. Its loop is repeated, as a call would double the time."""

    def __init__(self, tables: NGramTables, ids: dict[str, int]) -> None:
        table = WordTable(tables)
        numbers = self.numbers = _Numbers({word: table.codes[id] for word, id in ids.items()})
        self.start = table.start
        codes, log_prob, following = table.code, table.log_prob, table.following
        backoff, link, lengths = table.backoff, table.link, table.lengths
        step, per_nat, unknown = table.step(), _PER_NAT, numbers.unknown

        def total(context: int, words: list[str]) -> float:
            log_p = 0.0
            for word in words:
                number = numbers[word]
                while codes[at := context + number] != number:
                    log_p += backoff[context]
                    context = link[context]
                log_p += log_prob[at]
                context = following[at]
            return log_p * per_nat

        def each(context: int, words: list[str]) -> Iterator[Found]:
            for word in words:
                log_p = 0.0
                number = numbers[word]
                while codes[at := context + number] != number:
                    log_p += backoff[context]
                    context = link[context]
                context = following[at]
                yield (log_p + log_prob[at]) * per_nat, lengths[at], number == unknown

        def base_score(in_state: State, word: str | bytes, out_state: State) -> float:
            try:
                context: int = in_state._context
                log_p = 0.0
                number = numbers[word]
                while codes[at := context + number] != number:
                    log_p += backoff[context]
                    context = link[context]
                out_state._context = following[at]
            except AttributeError:
                if _were_written(in_state, out_state):
                    raise
                return base_score(in_state, word, out_state)
            return (log_p + log_prob[at]) * per_nat

        def base_full_score(
            in_state: State, word: str | bytes, out_state: State
        ) -> FullScoreReturn:
            try:
                number = numbers[word]
                log_p, out_state._context, length = step(in_state._context, number)
            except AttributeError:
                if _were_written(in_state, out_state):
                    raise
                return base_full_score(in_state, word, out_state)
            return _FULL(FullScoreReturn, (log_p * per_nat, length, number == unknown))

        self.total, self.each = total, each
        self.base_score, self.base_full_score = base_score, base_full_score


class _StepsWalk(dict[tuple[Context, int], Step]):
    """For every other kind of tables; steps are cached by (context, number of the word)."""

    def __init__(self, step: Callable[[Context, int], Step], ids: dict[str, int]) -> None:
        self._step = step
        self.numbers = _Numbers(ids)
        self.start = self[_NONE, _BOS][1]

    def __missing__(self, asked: tuple[Context, int]) -> Step:
        if len(self) >= _KNOWN:
            self.clear()
        step = self[asked] = self._step(*asked)
        return step

    def total(self, context: Context, words: list[str]) -> float:
        """See `_Walk`."""
        total = 0.0
        for number in map(self.numbers.__getitem__, words):
            log_p, context, _ = self[context, number]
            total += log_p
        return total

    def each(self, context: Context, words: list[str]) -> Iterator[Found]:
        """See `_Walk`."""
        for number in map(self.numbers.__getitem__, words):
            log_p, context, length = self[context, number]
            yield log_p, length, number == self.numbers.unknown

    def base_score(self, in_state: State, word: str | bytes, out_state: State) -> float:
        """See `_Walk`."""
        try:
            log_p, out_state._context, _ = self[in_state._context, self.numbers[word]]
        except AttributeError:
            if _were_written(in_state, out_state):
                raise
            return self.base_score(in_state, word, out_state)
        return log_p

    def base_full_score(
        self, in_state: State, word: str | bytes, out_state: State
    ) -> FullScoreReturn:
        """See `_Walk`."""
        try:
            number = self.numbers[word]
            log_p, out_state._context, length = self[in_state._context, number]
        except AttributeError:
            if _were_written(in_state, out_state):
                raise
            return self.base_full_score(in_state, word, out_state)
        return _FULL(FullScoreReturn, (log_p, length, number == self.numbers.unknown))


def _step_of(tables: NGramLookup) -> Callable[[Context, int], Step]:
    """The step function of any n-gram tables."""

    def step(context: Context, token: int) -> Step:
        log_p, length, following = tables.step(context or (), token)
        if token == _BOS:  # as in KenLM: log10 p = 0 plus the back-off weights
            log_p = tables.backing_off(context or ())
        return log_p / _LOG10, following or _NONE, length

    return step


class Model:
    """A model read from a file: ARPA, KenLM's binary kind or langmodels' own.

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
        vocabulary = self._model.vocabulary
        # For KenLM, boundaries inside a sentence are words.
        self._word_ids = {UNK: _UNK, **vocabulary.text_ids, BOS: vocabulary.bos_id}
        if vocabulary.eos_id is not None:
            self._word_ids[EOS] = vocabulary.eos_id
        self._ids = _Numbers(self._word_ids)

    @cached_property
    def _walk(self) -> _Walk:
        """The way of scoring words, made at its first use."""
        model, ids = self._model, self._word_ids
        if sum(model.ngram_counts) <= MOST:
            if isinstance(model, KenLMModel) and not model.header.is_trie:
                return _StepsWalk(model.step_by_hash(), ids)
            if not model.tables.unseen_backoff:
                return _TableWalk(model.tables, ids)
        return _StepsWalk(_step_of(self._tables), ids)

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return self._tables.order

    def score(self, sentence: str | bytes, bos: bool = True, eos: bool = True) -> float:
        """Log10 p(sentence </s> | <s>), or without the boundaries that are switched off."""
        words = self._words(sentence, eos)
        if len(words) > _LONG and BOS not in words:
            return float(self._long_scores(words, bos)[0].sum())
        walk = self._walk
        return walk.total(walk.start if bos else _NONE, words)

    def full_scores(
        self, sentence: str | bytes, bos: bool = True, eos: bool = True
    ) -> Iterator[Found]:
        """For each word, and `</s>`: log10 p, the length of the n-gram found, whether it is OOV."""
        words = self._words(sentence, eos)
        if len(words) > _LONG and BOS not in words:
            log_p, lengths = self._long_scores(words, bos)
            oov = [self._ids[word] == _UNK for word in words]
            return zip(log_p.tolist(), lengths.tolist(), oov, strict=True)
        walk = self._walk
        return walk.each(walk.start if bos else _NONE, words)

    def _words(self, sentence: str | bytes, eos: bool) -> list[str]:
        """The words of a sentence, followed by `</s>` if `eos` and the model has it."""
        text = _text(sentence)
        words = text.split() if text.isprintable() else _WORDS(text)
        if eos and EOS in self._ids:
            words.append(EOS)
        return words

    def _long_scores(self, words: list[str], bos: bool) -> tuple[FloatArray, LengthArray]:
        """Log10 p and the length of the n-gram found, of each word, by array code."""
        ids = np.fromiter(map(self._ids.__getitem__, words), np.int32, len(words))
        log_p, lengths = self._tables.score(np.concatenate([np.array([_BOS] * bos, np.int32), ids]))
        return log_p[int(bos) :] / _LOG10, lengths[int(bos) :]

    def score_many(
        self, sentences: Iterable[str | bytes], bos: bool = True, eos: bool = True
    ) -> FloatArray:
        """`score` of each sentence, (n,), several times as fast; KenLM has no such method."""
        texts = [self._words(sentence, eos) for sentence in sentences]
        if not bos or any(BOS in words for words in texts):
            # Array code recognises the beginning of a sentence by `<s>`.
            return np.array(
                [self._walk.total(self._walk.start if bos else _NONE, w) for w in texts]
            )
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        words = itertools.chain.from_iterable((BOS, *words) for words in texts)
        ids = np.fromiter(
            map(self._ids.__getitem__, words), np.int32, int(sizes.sum()) + len(texts)
        )
        log_p, _ = self._tables.score(ids)
        log_p[ids == _BOS] = 0.0
        starts = np.cumsum(sizes + 1) - sizes - 1
        return np.add.reduceat(log_p, starts) / _LOG10 if texts else np.empty(0)

    def perplexity(self, sentence: str | bytes) -> float:
        """The perplexity of a sentence, `</s>` counted as a word."""
        n_words = len(_WORDS(_text(sentence))) + 1
        perplexity: float = 10.0 ** (-self.score(sentence) / n_words)
        return perplexity

    def __contains__(self, word: str | bytes) -> bool:
        return self._ids[word] != _UNK

    def BeginSentenceWrite(self, state: State) -> None:
        """Make `state` the context at the beginning of a sentence."""
        _checked(state)._context = self._walk.start

    def NullContextWrite(self, state: State) -> None:
        """Make `state` the empty context."""
        _checked(state)._context = _NONE

    def BaseScore(self, in_state: State, word: str | bytes, out_state: State) -> float:
        """Log10 p(word | in_state); `out_state` becomes the context after the word."""
        score = self._walk.base_score
        if type(self).BaseScore is Model.BaseScore:
            self.__dict__["BaseScore"] = score  # later calls skip this method
        return score(in_state, word, out_state)

    def BaseFullScore(
        self, in_state: State, word: str | bytes, out_state: State
    ) -> FullScoreReturn:
        """`BaseScore` with the length of the n-gram found and whether the word is OOV."""
        score = self._walk.base_full_score
        if type(self).BaseFullScore is Model.BaseFullScore:
            self.__dict__["BaseFullScore"] = score
        return score(in_state, word, out_state)

    def __repr__(self) -> str:
        return f"<Model from {os.fsencode(Path(self._name).name)!r}>"

    def __reduce__(self) -> tuple[type["Model"], tuple[bytes]]:
        return type(self), (self.path,)


class LanguageModel(Model):
    """The name that `Model` had at first."""


def _text(text: str | bytes) -> str:
    if isinstance(text, str):
        return text
    if isinstance(text, bytes):
        return text.decode("utf-8", "surrogateescape")
    raise TypeError(f"Cannot convert {type(text)} to string")


def _checked(state: State) -> State:
    if not isinstance(state, State):
        raise TypeError(f"a State is needed, not {type(state).__name__}")
    return state


def _context_of(state: State) -> Context:
    """The context of a state; the empty one if none was written."""
    try:
        return state._context
    except AttributeError:
        return _NONE


def _were_written(in_state: State, out_state: State) -> bool:
    """Whether `in_state` has a context; if not, write the empty one to it."""
    if hasattr(_checked(in_state), "_context"):
        _checked(out_state)
        return True
    in_state._context = _NONE
    return False
