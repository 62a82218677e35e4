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
from collections.abc import Callable, Iterator
from functools import cached_property, total_ordering
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.errors import LangmodelsError
from langmodels.ngram.automaton import Automaton
from langmodels.ngram.lookup import LengthArray, NGramLookup
from langmodels.ngram.opening import open_ngrams
from langmodels.ngram.tables import NGramTables
from langmodels.text.vocabulary import BOS, EOS, Vocabulary

Context = Any
"""What a step goes on from: a node or a tuple; 0 is the empty one."""
_NONE = 0

_LOG10 = math.log(10.0)
_UNK, _BOS = Vocabulary.unk_id, Vocabulary.bos_id
# Words part at the white space of ASCII; str.split() does too much where a text has other, which
# is not printable.
_WORDS = re.compile(r"[^\t\n\v\f\r ]+").findall
_LONG = 500
"""Words of a sentence beyond which array code is faster than going on word by word."""
_AUTOMATON = 1 << 24
"""N-grams of a model that are put into an automaton at most, 24 bytes each."""
_KNOWN = 1 << 18
"""Steps that are kept at most, some 300 bytes each; when there are so many, all are forgotten."""


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
        self._context: Context = _NONE

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self._context == other._context

    def __lt__(self, other: "State") -> bool:
        if not isinstance(other, State):
            return NotImplemented
        if _NONE in (self._context, other._context):
            return bool(self._context == _NONE != other._context)
        return bool(self._context < other._context)

    def __hash__(self) -> int:
        return hash(self._context)

    def __copy__(self) -> "State":
        copy = State()
        copy._context = self._context
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> "State":
        return self.__copy__()


Step = tuple[float, Context, int]
"""Log10 p of a word, the context after it, the length of the n-gram that gave it."""


class _Steps(dict[tuple[Context, int], Step]):
    """The steps that were asked for, by context and word id; one that is not there is made.

    Decoders ask the same again and again, and text repeats itself: a step that is known takes a
    fraction of the time of one that is looked up.
    """

    def __init__(self, tables: NGramLookup) -> None:
        self._tables = tables

    def __missing__(self, asked: tuple[Context, int]) -> Step:
        if len(self) >= _KNOWN:
            self.clear()
        log_p, following, length = self._find(*asked)
        step = self[asked] = log_p / _LOG10, following, length
        return step

    def start(self) -> Context:
        """The context at the beginning of a sentence."""
        return self[_NONE, _BOS][1]

    @cached_property
    def _find(self) -> Callable[[Context, int], Step]:
        """Looks a step up, its log p in nats."""
        tables = self._tables
        if (
            isinstance(tables, NGramTables)
            and not tables.unseen_backoff
            and sum(tables.sizes) <= _AUTOMATON
        ):
            return Automaton(tables).stepper()
        return self._find_in_tables

    def _find_in_tables(self, context: Context, token: int) -> Step:
        """Where contexts are the states of tables."""
        log_p, length, following = self._tables.step(context or (), token)
        if token == _BOS:  # ARPA files give it log10 p = 0; it costs what backing off to it costs
            log_p = self._tables.backing_off(context or ())
        return log_p, following or _NONE, length


class _WordIds(dict[str | bytes, int]):
    """Ids of words, which may be bytes too."""

    def __missing__(self, word: str | bytes) -> int:
        return _UNK if isinstance(word, str) else self[_text(word)]


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
        self._steps = _Steps(self._tables)
        vocabulary = self._model.vocabulary
        self._ids = _WordIds(vocabulary.text_ids)
        self._ids[BOS] = vocabulary.bos_id  # in a sentence for KenLM, boundaries are words
        if vocabulary.eos_id is not None:
            self._ids[EOS] = vocabulary.eos_id

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return self._tables.order

    def score(self, sentence: str | bytes, bos: bool = True, eos: bool = True) -> float:
        """Log10 p(sentence </s> | <s>), or without the boundaries that are switched off."""
        words = self._words(sentence, eos)
        if len(words) > _LONG and BOS not in words:
            return float(self._long_scores(words, bos)[0].sum())
        total, steps = 0.0, self._steps
        context = steps.start() if bos else _NONE
        for token in map(self._ids.__getitem__, words):
            log_p, context, _ = steps[context, token]
            total += log_p
        return total

    def full_scores(
        self, sentence: str | bytes, bos: bool = True, eos: bool = True
    ) -> Iterator[tuple[float, int, bool]]:
        """For each word, and `</s>`: log10 p, the length of the n-gram found, whether it is OOV."""
        words = self._words(sentence, eos)
        ids = [self._ids[word] for word in words]
        if len(words) > _LONG and BOS not in words:
            log_p, lengths = self._long_scores(words, bos)
            oov = [token == _UNK for token in ids]
            return zip(log_p.tolist(), lengths.tolist(), oov, strict=True)
        return self._each(self._steps.start() if bos else _NONE, ids)

    def _each(self, context: Context, ids: list[int]) -> Iterator[tuple[float, int, bool]]:
        for token in ids:
            log_p, context, length = self._steps[context, token]
            yield log_p, length, token == _UNK

    def _words(self, sentence: str | bytes, eos: bool) -> list[str]:
        """The words of a sentence, with `</s>` where it is asked for and the model has it."""
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

    def perplexity(self, sentence: str | bytes) -> float:
        """The perplexity of a sentence, `</s>` counted as a word."""
        n_words = len(_WORDS(_text(sentence))) + 1
        perplexity: float = 10.0 ** (-self.score(sentence) / n_words)
        return perplexity

    def __contains__(self, word: str | bytes) -> bool:
        return self._ids[word] != _UNK

    def BeginSentenceWrite(self, state: State) -> None:
        """Make `state` the context at the beginning of a sentence."""
        _checked(state)._context = self._steps.start()

    def NullContextWrite(self, state: State) -> None:
        """Make `state` the empty context."""
        _checked(state)._context = _NONE

    def BaseScore(self, in_state: State, word: str | bytes, out_state: State) -> float:
        """Log10 p(word | in_state); `out_state` becomes the context after the word."""
        try:
            step = self._steps[in_state._context, self._ids[word]]
            log_p, out_state._context, _ = step
        except AttributeError:
            _checked(in_state), _checked(out_state)
            raise
        return log_p

    def BaseFullScore(
        self, in_state: State, word: str | bytes, out_state: State
    ) -> FullScoreReturn:
        """`BaseScore` with the length of the n-gram found and whether the word is OOV."""
        token = self._ids[word]
        step = self._steps[_checked(in_state)._context, token]
        log_p, _checked(out_state)._context, length = step
        return FullScoreReturn(log_p, length, token == _UNK)

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
