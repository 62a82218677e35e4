"""The map between tokens and ids."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from operator import index

import numpy as np

from langmodels.arguments import check_argument, checked
from langmodels.arrays import Array, IndexArray, IntArray
from langmodels.checks import Expected, check_arrays
from langmodels.errors import LangmodelsError, UsageError
from langmodels.text.byte_fields import WordIndex, encode_text

_EXPECTED = {
    "vocabulary.text": Expected("uint8", ("bytes",)),
    "vocabulary.offsets": Expected("int64", ("tokens",), low=0, rising=True),
    "vocabulary.ends": Expected("uint8", (1,), low=0, high=1),
}

UNK, BOS, EOS = "<unk>", "<s>", "</s>"
_RESERVED = frozenset((UNK, BOS, EOS))


class TokenIdError(UsageError, IndexError):
    """No id of a token; an IndexError, as Python has it, and a sentence."""


class TokenIds(dict[str, int]):
    """A dictionary from tokens to ids, with the id of `<unk>` for unknown tokens. Hits run no
    Python code.
    """

    def __missing__(self, token: str) -> int:
        return Vocabulary.unk_id


class Vocabulary:
    """An ordered set of tokens: special tokens first, then those of the training text.

    Id 0 is `<unk>`, 1 is `<s>`, and 2 is `</s>` if sequences have ends (`ends=True`, as for lines
    of words); a vocabulary for streams (characters, bytes) has no `</s>`, and `eos_id` is None.
    `<s>` is never predicted.

    >>> v = Vocabulary(["the", "cat"])
    >>> v.encode(["the", "dog"]).tolist(), v.decode([3, 0])
    ([3, 0], ['the', '<unk>'])
    """

    unk_id = 0
    bos_id = 1

    _stored: tuple[str, Array]
    """The concatenated tokens of a file, and the offset of each."""
    _arrays: dict[str, Array] | None = None
    """The arrays of the file."""

    @checked
    def __init__(self, tokens: Iterable[str], *, ends: bool = True) -> None:
        specials = [UNK, BOS, EOS] if ends else [UNK, BOS]
        self.eos_id: int | None = 2 if ends else None
        ordinary = list(tokens)
        ids = _number(ordinary, len(specials))
        # "<s>" as a word of a text must not become the boundary symbol.
        if len(ids) < len(ordinary) or not _RESERVED.isdisjoint(ids):
            ordinary = [t for t in dict.fromkeys(ordinary) if t not in _RESERVED]
            ids = _number(ordinary, len(specials))
        self._tokens = [*specials, *ordinary]
        self._size = len(self._tokens)
        ids[UNK] = self.unk_id
        self._ids = ids

    @cached_property
    def _tokens(self) -> list[str]:
        """The tokens of a vocabulary that was read from a file."""
        text, offsets = self._stored
        specials = [UNK, BOS, EOS][: self.n_special]
        return specials + [text[a:b] for a, b in pairwise(offsets.tolist())]

    @cached_property
    def _ids(self) -> "TokenIds":
        """The ids of a vocabulary that was read from a file."""
        ordinary = self._tokens[self.n_special :]
        ids = _number(ordinary, self.n_special)
        if len(ids) < len(ordinary) or not _RESERVED.isdisjoint(ids):
            raise LangmodelsError("The model file's vocabulary repeats a token; it is broken.")
        ids[UNK] = self.unk_id
        return ids

    @classmethod
    @checked
    def from_counts(
        cls,
        counts: Mapping[str, int],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        ends: bool = True,
    ) -> "Vocabulary":
        """The vocabulary of the `max_size` most frequent tokens seen at least `min_count` times.

        `max_size` does not count special tokens. Ties keep the order of `counts`. Raises UsageError
        for a `min_count` or `max_size` below one.
        """
        tokens = list(counts)
        order = frequency_order(
            np.fromiter(counts.values(), np.int64, len(counts)), min_count, max_size
        )
        return cls((tokens[i] for i in order.tolist()), ends=ends)

    @property
    def ends(self) -> bool:
        """Whether sequences end in `</s>`."""
        return self.eos_id is not None

    @property
    def n_special(self) -> int:
        """The number of special tokens, which have the first ids."""
        return 3 if self.ends else 2

    @property
    def n_predictable(self) -> int:
        """The number of tokens that can be predicted: all but `<s>`."""
        return len(self) - 1

    @property
    def tokens(self) -> list[str]:
        """All tokens by id; not a copy, do not modify it."""
        return self._tokens

    def id(self, token: str) -> int:
        """The id of a token, special or not; that of `<unk>` if it is unknown."""
        if not isinstance(token, str):  # `checked` takes fifty times as long as the rest
            check_argument("token", str, token)
        if token == BOS:
            return self.bos_id
        if token == EOS and self.eos_id is not None:
            return self.eos_id
        return self._ids[token]

    def token(self, id: int) -> str:
        """The token of an id. Raises what `check_id` raises."""
        self.check_id(id)
        return self._tokens[id]

    def check_id(self, id: int) -> None:
        """Raise TokenIdError for an id outside the vocabulary: arrays would be indexed from their
        end with a negative one.
        """
        try:
            if 0 <= index(id) < self._size:
                return
        except TypeError:
            pass
        raise TokenIdError(f"Token ids are whole numbers from 0 to {len(self) - 1}, not {id!r}.")

    @property
    def text_ids(self) -> "TokenIds":
        """The mapping behind `encode`; not a copy, do not modify it."""
        return self._ids

    @cached_property
    def _has_characters_only(self) -> bool:
        return all(len(token) == 1 for token in self._tokens[self.n_special :])

    @cached_property
    def word_index(self) -> WordIndex:
        """The same mapping for batches of words as UTF-8 bytes."""
        words = self._tokens[self.n_special :]
        return WordIndex({encode_text(t): i for i, t in enumerate(words, self.n_special)})

    def encode(self, tokens: Sequence[str]) -> IntArray:
        """Ids of tokens of a text, (n,) int32, without boundaries.

        Unknown tokens become `<unk>`, and so do `<s>` and `</s>`, which in a text are unknown words
        and not boundaries. A string is taken for tokens of one character each; raises UsageError
        where those of the vocabulary are longer.
        """
        if isinstance(tokens, str) and not self._has_characters_only:
            raise UsageError(
                "A vocabulary encodes a list of tokens, not a string; Reading.encode reads a text."
            )
        return np.fromiter(map(self._ids.__getitem__, tokens), np.int32, len(tokens))

    @checked
    def ids_of(self, other: "Vocabulary") -> IntArray:
        """The id in this vocabulary of each token of another one with the same special tokens,
        (len(other),).
        """
        ids = self.encode(other.tokens)
        ids[: other.n_special] = np.arange(other.n_special)
        return ids

    @checked
    def extended(self, tokens: Iterable[str]) -> "Vocabulary":
        """A vocabulary with new tokens appended; existing ids stay."""
        new = (token for token in tokens if token not in self._ids)
        return Vocabulary([*self._tokens[self.n_special :], *new], ends=self.ends)

    @checked
    def knows_the_same(self, other: "Vocabulary") -> bool:
        """Whether both have the same tokens, whatever their ids."""
        if self._ids.keys() != other._ids.keys():
            return False
        return self.ends == other.ends

    @checked
    def extends(self, other: "Vocabulary") -> bool:
        """Whether it equals another vocabulary, possibly with tokens appended."""
        return self.ends == other.ends and self._tokens[: len(other)] == other._tokens

    @checked
    def decode(self, ids: Iterable[int]) -> list[str]:
        """The tokens of ids."""
        return [self.token(i) for i in ids]

    def __len__(self) -> int:
        return self._size

    def __contains__(self, token: object) -> bool:
        return token in self._ids or token == BOS or (token == EOS and self.ends)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._tokens == other._tokens

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens, ends={self.ends})"

    def to_arrays(self) -> dict[str, Array]:
        """The tokens as UTF-8 bytes, and the offset of each in characters, for storage."""
        if self._arrays is not None:
            return self._arrays
        ordinary = self._tokens[self.n_special :]
        offsets = np.zeros(len(ordinary) + 1, np.int64)
        np.cumsum([len(t) for t in ordinary], out=offsets[1:])
        text = encode_text("".join(ordinary))
        return {
            "vocabulary.text": np.frombuffer(text, np.uint8),
            "vocabulary.offsets": offsets,
            "vocabulary.ends": np.array([self.ends], np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "Vocabulary":
        """Inverse of `to_arrays`. Raises LangmodelsError for inconsistent arrays."""
        check_arrays(arrays, _EXPECTED)
        try:
            text = arrays["vocabulary.text"].tobytes().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise LangmodelsError("the array 'vocabulary.text' is damaged: no UTF-8.") from error
        offsets = arrays["vocabulary.offsets"]
        if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(text):
            raise LangmodelsError("the array 'vocabulary.offsets' is damaged.")
        vocabulary = cls((), ends=bool(arrays["vocabulary.ends"][0]))
        vocabulary._arrays = {name: arrays[name] for name in _EXPECTED}
        # Tokens and ids are created on demand, so that large models open at once.
        vocabulary._stored = text, offsets
        vocabulary._size = vocabulary.n_special + max(len(offsets) - 1, 0)
        del vocabulary._tokens, vocabulary._ids
        return vocabulary


def _number(tokens: list[str], first: int) -> "TokenIds":
    return TokenIds(zip(tokens, range(first, first + len(tokens)), strict=True))


def frequency_order(
    counts: IndexArray, min_count: int = 1, max_size: int | None = None
) -> IndexArray:
    """Indices of the counts to keep, in descending order of count; ties keep their order.

    Raises UsageError for a `min_count` or `max_size` below one.
    """
    if min_count < 1:
        raise UsageError(f"The minimum count must be at least 1, not {min_count}.")
    if max_size is not None and max_size < 1:
        raise UsageError(f"The vocabulary size must be at least 1, not {max_size}.")
    order = np.argsort(-counts, kind="stable")
    kept = order[counts[order] >= min_count]
    return kept if max_size is None else kept[:max_size]
