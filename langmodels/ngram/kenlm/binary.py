"""The container of KenLM's binary files, version 5: header, tables, words.

A file begins with a fixed header, the n-gram counts of each order, and one of two layouts of the
tables (`probing`, `trie`); the words follow in the order of their ids. Sizes follow from the
counts, so that the whole of a file is checked against its length before anything in it is used.
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from langmodels.arrays import Array, IntArray
from langmodels.errors import LangmodelsError
from langmodels.ngram.arpa import FOREIGN
from langmodels.text.tokenization import SymbolTokenizer, Tokenizer
from langmodels.text.vocabulary import BOS, EOS, UNK, Vocabulary

MAGIC = b"mmap lm http://kheafield.com/code"
_WHOLE = MAGIC + b" format version 5\n"
_SANITY = struct.pack("<fff", 0.0, 1.0, -0.5) + struct.pack("<IIIQ", 1, 0xFFFFFFFF, 0, 1)
_MAGIC_SIZE = 56
_PARAMETERS = struct.Struct("<B3xfIB3xI")
_COUNTS_AT = _MAGIC_SIZE + 32 + _PARAMETERS.size
_MOST = (1 << 31) - 2  # n-grams per order: ids have 32 bits

PROBING, REST_PROBING, TRIE, QUANTIZED, COMPRESSED, QUANTIZED_COMPRESSED = range(6)
_KINDS = (
    "hash tables",
    "hash tables with rest costs",
    "trie",
    "quantized trie",
    "trie with compressed pointers",
    "quantized trie with compressed pointers",
)

Bytes = NDArray[np.uint8]


class Header(NamedTuple):
    """The header of a file: its type, one of the constants above, and sizes n_1, ..., n_N."""

    type: int
    multiplier: float
    """Slots of a hash table per entry."""
    sizes: list[int]
    end: int
    """The offset of the tables in bytes."""

    @property
    def order(self) -> int:
        """N."""
        return len(self.sizes)

    @property
    def kind(self) -> str:
        """The name of the type."""
        return _KINDS[self.type]

    @property
    def is_trie(self) -> bool:
        """Whether the n-grams can be enumerated; hash tables keep only a hash of each."""
        return self.type >= TRIE

    @property
    def is_quantized(self) -> bool:
        """Whether probabilities are stored as indices into a code book."""
        return self.type in (QUANTIZED, QUANTIZED_COMPRESSED)

    @property
    def is_compressed(self) -> bool:
        """Whether the upper bits of pointers are stored separately."""
        return self.type in (COMPRESSED, QUANTIZED_COMPRESSED)


def damaged(why: str) -> LangmodelsError:
    """The error for a file that `build_binary` cannot have written; callers prepend its name."""
    return LangmodelsError(f"it is not a whole binary file of KenLM's: {why}")


def read_header(data: Bytes) -> Header:
    """Parse and check a header.

    Raises LangmodelsError for files that are truncated, unfinished, or of another version or
    machine.
    """
    start = data[:_COUNTS_AT].tobytes()
    if start.startswith(MAGIC + b" incomplete"):
        raise damaged("its building was broken off; run build_binary again")
    if not start.startswith(_WHOLE):
        version = start[len(MAGIC) : _MAGIC_SIZE].split(b"\n")[0].decode("ascii", "replace")
        raise LangmodelsError(
            f"it is a binary file of KenLM's of {version.strip()[:30] or 'no version'!r}; "
            "format version 5 is read. Build it again from its ARPA file"
        )
    if len(start) < _COUNTS_AT:
        raise damaged("its header is cut short")
    if start[_MAGIC_SIZE : _MAGIC_SIZE + 32] != _SANITY:
        raise damaged("its header was written on a machine with other numbers")
    order, multiplier, kind, words, search = _PARAMETERS.unpack_from(start, _MAGIC_SIZE + 32)
    if kind >= len(_KINDS):
        raise damaged(f"it is of the unknown type {kind}")
    if search != (kind >= TRIE):
        raise damaged(f"its tables are of the unknown version {search}")
    if order < 2:
        raise damaged(f"an order of {order} makes no sense")
    counts = data[_COUNTS_AT : _COUNTS_AT + 8 * order].tobytes()
    if len(counts) < 8 * order:
        raise damaged("its header is cut short")
    sizes = list(struct.unpack(f"<{order}Q", counts))
    if max(sizes) > _MOST:
        raise damaged(f"it promises {max(sizes):,} n-grams, more than can be numbered")
    if sizes[0] < 1:
        raise damaged("it has no words")
    if not 1.0 <= multiplier < 1e6:
        if kind < TRIE:
            raise damaged(f"its hash tables have {multiplier:g} places an entry")
        multiplier = 1.0
    if not words:
        raise LangmodelsError(
            "it was built without its words, which are needed; build it again from its ARPA file"
        )
    return Header(kind, multiplier, sizes, -(-(_COUNTS_AT + 8 * order) // 8) * 8)


class Parts:
    """Splits a file into consecutive parts, each checked against the length of the file."""

    def __init__(self, data: Bytes, at: int) -> None:
        self._data = data
        self.at = at

    def take(self, size: int) -> Bytes:
        """The next `size` bytes, mapped and not yet read."""
        end = self.at + size
        if end > len(self._data):
            raise damaged(
                f"it ends after {len(self._data):,} bytes, within its tables (truncated?)"
            )
        part = self._data[self.at : end]
        self.at = end
        return part

    def table(self, dtype: Any, n: int) -> Array:
        """The next `n` items of type `dtype`."""
        kind = np.dtype(dtype)
        return np.ndarray((n,), kind, self.take(n * kind.itemsize))

    def rest(self) -> Bytes:
        """The remaining bytes."""
        return self.take(len(self._data) - self.at)


def read_words(data: Bytes, n: int) -> tuple[Vocabulary, IntArray]:
    """The vocabulary at the end of a file with `n` words, and the file's id of each token, (V,)."""
    text = data.tobytes()
    if text.count(0) != n or not text.endswith(b"\0"):
        raise damaged(f"it ends in {text.count(0):,} words, not {n:,} (truncated?)")
    words = text[:-1].decode("utf-8", "surrogateescape").split("\0")
    if words[0].lower() != UNK:
        raise damaged(f"its first word is not {UNK}")
    places = {word: i for i, word in enumerate(words)}
    if len(places) < n:
        raise damaged("it has a word twice")
    ends = EOS in places
    vocabulary = Vocabulary(_ordinary(words), ends=ends)
    specials = [0, places.get(BOS, 0), *([places[EOS]] if ends else [])]
    ids = np.arange(n, dtype=np.int32)
    return vocabulary, np.concatenate(
        [np.array(specials, np.int32), np.delete(ids, sorted({*specials, 0}))]
    ).astype(np.int32)


def _ordinary(words: list[str]) -> Iterator[str]:
    return (word for word in words[1:] if word not in (BOS, EOS))


def tokenizer_of(vocabulary: Vocabulary) -> Tokenizer:
    """The tokenizer assumed for a foreign model: whitespace, or symbols where there is no
    `</s>`.
    """
    return FOREIGN if vocabulary.ends else SymbolTokenizer()
