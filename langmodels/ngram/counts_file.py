"""N-gram counts as text, one `n-gram<TAB>count` per line for all orders: SRILM's format."""

import lzma
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from langmodels.arrays import BoolArray, IndexArray, IntArray
from langmodels.errors import LangmodelsError, unreadable
from langmodels.ngram.arpa import FOREIGN
from langmodels.ngram.counting import NGramCounts
from langmodels.ngram.tables import MAX_ORDER
from langmodels.ngram.text_counts import TextCounts, added_up
from langmodels.ngram.trie import ngram_words
from langmodels.packed import compressing, open_bytes
from langmodels.progress import track
from langmodels.storage import atomic_write
from langmodels.text.byte_fields import (
    Fields,
    WordIndex,
    decimals,
    encode_tokens,
    space_table,
    split_fields,
)
from langmodels.text.reading import Reading
from langmodels.text.tokenization import SymbolTokenizer, Tokenizer
from langmodels.text.vocabulary import BOS, EOS, UNK, Vocabulary, frequency_order

_LINE = 1 << 20  # bytes that a line may have
_SPACES = space_table(b"\t\n\r ")
_WRITE = 1 << 17  # n-grams formatted at a time


def count_lines(counts: NGramCounts, vocabulary: Vocabulary, least: int = 1) -> Iterator[bytes]:
    """Yield blocks of lines for all n-grams seen at least `least` times, order 1 first."""
    tokens = np.array(vocabulary.tokens, dtype=object)
    for k, size in enumerate(counts.sizes, start=1):
        form = " ".join(["%s"] * k) + "\t%d\n"
        for start in range(0, size, _WRITE):
            nodes = slice(start, min(start + _WRITE, size))
            seen = counts.counts[k - 1][nodes]
            kept = np.flatnonzero(seen >= least)
            words = tokens[ngram_words(counts, k, nodes)[kept]]
            columns = [words[:, i].tolist() for i in range(k)]
            rows = zip(*columns, seen[kept].tolist(), strict=True)
            yield encode_tokens("".join(map(form.__mod__, rows)))


def write_counts(
    path: str | os.PathLike[str], counts: NGramCounts, vocabulary: Vocabulary, least: int = 1
) -> None:
    """Write counts to a file, compressed as the ending of its name says.

    Raises LangmodelsError where it cannot be written.
    """
    with (
        atomic_write(path) as raw,
        compressing(raw, os.fspath(path)) as file,
        track("Writing counts", total=sum(counts.sizes)) as meter,
    ):
        for lines in count_lines(counts, vocabulary, least):
            file.write(lines)
            meter.advance(lines.count(b"\n"))


def read_counts(
    paths: Sequence[str | os.PathLike[str]],
    min_count: int = 1,
    tokenizer: Tokenizer | None = None,
    cleaning: str = "none",
) -> TextCounts:
    """The sum of the counts in several files, compressed or not.

    Every order up to the highest must be complete: with an n-gram, its prefix, its suffix and its
    words as 1-grams must have counts. Models made of the result map words counted less than
    `min_count` times to `<unk>`. `tokenizer` and `cleaning` say how the counted text was read; by
    default it was split at white space, into lines if there is an `</s>`. Raises LangmodelsError,
    with the number of the line, for malformed files.
    """
    blocks = [_parse(os.fspath(path)) for path in paths]
    seen: Counter[bytes] = Counter()
    for block in blocks:
        for word, n in zip(block.column(0, 1), block.counts(1).tolist(), strict=True):
            seen[word] += n
    if not seen:
        raise LangmodelsError(
            f"{blocks[0].name} has no counts of 1-grams; write counts of all orders."
        )
    tokens = [word.decode("utf-8", "surrogateescape") for word in seen]
    ends = EOS in tokens
    often = frequency_order(np.fromiter(seen.values(), np.int64, len(seen)))
    ordinary = (tokens[i] for i in often.tolist() if tokens[i] not in (UNK, BOS, EOS))
    vocabulary = Vocabulary(ordinary, ends=ends)
    ids = {word: vocabulary.id(token) for word, token in zip(seen, tokens, strict=True)}
    index = WordIndex(ids)
    rows = [
        [(block.rows(k, index), block.counts(k)) for k in range(1, block.order + 1)]
        for block in blocks
    ]
    if tokenizer is None:
        tokenizer = FOREIGN if ends else SymbolTokenizer()
    if tokenizer.ends != ends:
        raise LangmodelsError(
            f"There are {'' if ends else 'no '}ends of lines ({EOS}) in {blocks[0].name}, as level "
            f"{tokenizer.level} does not have them."
        )
    reading = Reading(tokenizer, vocabulary, cleaning)
    return TextCounts(reading, added_up(rows, len(vocabulary)), min_count)


class _Block:
    """The lines of a file, split into fields at white space; the last field of a line is the
    count.
    """

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self._fields = split_fields(data, _SPACES)
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
        stops = np.searchsorted(self._fields.starts, np.append(ends, len(data)))
        sizes = np.diff(stops, prepend=0)
        self._lines = np.flatnonzero(sizes)
        self._sizes, self._stops = sizes[self._lines], stops[self._lines]
        if (self._sizes > MAX_ORDER + 1).any():
            what = f"an n-gram has at most {MAX_ORDER} words"
            raise self.error(what, self._sizes > MAX_ORDER + 1)
        if (self._sizes < 2).any():
            raise self.error("an n-gram and its count should stand here", self._sizes < 2)
        numbers = decimals(self._fields.select(self._stops - 1))
        bad = ~((numbers >= 0) & (numbers < 2**31) & (numbers == np.floor(numbers)))
        if bad.any():
            raise self.error("the line should end in a count, a whole number below 2^31", bad)
        self._counts = numbers.astype(np.int64)

    @property
    def order(self) -> int:
        """The highest order in the file."""
        return int(self._sizes.max(initial=1)) - 1

    def error(self, what: str, where: BoolArray) -> LangmodelsError:
        line = int(self._lines[int(where.argmax())]) + 1
        return LangmodelsError(f"{self.name}, line {line}: {what}.")

    def counts(self, order: int) -> IndexArray:
        """Counts of the n-grams of an order, (n,)."""
        counts: IndexArray = self._counts[self._sizes == order + 1]
        return counts

    def column(self, i: int, order: int) -> Fields:
        """Word `i` of each n-gram of an order, as text."""
        which = self._sizes == order + 1
        return self._fields.select(self._stops[which] - 1 - order + i)

    def rows(self, order: int, index: WordIndex) -> IntArray:
        """Word ids of the n-grams of an order, (n, order)."""
        columns = [index.find(self.column(i, order)) for i in range(order)]
        rows = np.stack(columns, axis=1)
        if len(rows) and rows.min() < 0:
            unknown = np.zeros(len(self._sizes), np.bool_)
            unknown[self._sizes == order + 1] = (rows < 0).any(axis=1)
            raise self.error("a word of this n-gram has no count of its own", unknown)
        return rows


def _read(file: IO[bytes], name: str) -> bytes:
    """The contents of a file. Raises LangmodelsError at a line longer than `_LINE`."""
    blocks: list[bytes] = []
    since = 0
    while block := file.read(_LINE):
        end = block.rfind(b"\n")
        since = len(block) - end - 1 if end >= 0 else since + len(block)
        if since > _LINE:
            raise LangmodelsError(
                f"{name} is no file of n-gram counts: it has a line of more than a megabyte."
            )
        blocks.append(block)
    return b"".join(blocks)


def _parse(name: str) -> _Block:
    try:
        with open_bytes(name) as file:
            return _Block(name, _read(file, name))
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise unreadable(name, error) from error
