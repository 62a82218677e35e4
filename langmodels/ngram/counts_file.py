"""Counts of n-grams as text: `n-gram<TAB>count`, all orders, as SRILM and others exchange them."""

import lzma
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from langmodels.arrays import BoolArray, IndexArray, IntArray
from langmodels.errors import LangmodelsError
from langmodels.ngram.arpa_source import unpacked
from langmodels.ngram.building import first_of_each, lexicographic_order
from langmodels.ngram.counting import NGramCounts
from langmodels.ngram.trie import ngram_words, starts_of
from langmodels.progress import track
from langmodels.storage import atomic_write
from langmodels.text.byte_fields import Fields, WordIndex, decimals, space_table, split_fields
from langmodels.text.vocabulary import BOS, EOS, UNK, Vocabulary, frequency_order

_SPACES = space_table(b"\t\n\r ")
_WRITE = 1 << 17  # n-grams


def count_lines(counts: NGramCounts, vocabulary: Vocabulary, least: int = 1) -> Iterator[bytes]:
    """Lines for all n-grams seen at least `least` times, many at a time, short ones first."""
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
            yield "".join(map(form.__mod__, rows)).encode("utf-8", "surrogateescape")


def write_counts(
    path: str | os.PathLike[str], counts: NGramCounts, vocabulary: Vocabulary, least: int = 1
) -> None:
    """Write counts to a file. Raises LangmodelsError where it cannot be written."""
    with atomic_write(path) as file, track("Writing counts", total=sum(counts.sizes)) as task:
        for lines in count_lines(counts, vocabulary, least):
            file.write(lines)
            task.advance(lines.count(b"\n"))


def read_counts(
    paths: Sequence[str | os.PathLike[str]], min_count: int = 1
) -> tuple[Vocabulary, NGramCounts]:
    """Counts of several files, added up; gzip, xz and bzip2 too.

    All orders up to the highest must be there: the words of an n-gram as 1-grams, and every n-gram
    without its first and without its last word. Words counted less than `min_count` times become
    `<unk>`. Raises LangmodelsError, with the line, for files that hold anything else.
    """
    blocks = [_parse(os.fspath(path)) for path in paths]
    seen: Counter[bytes] = Counter()
    for block in blocks:
        for word, n in zip(block.column(0, 1), block.counts(1).tolist(), strict=True):
            seen[word] += n
    if not seen:
        raise LangmodelsError(f"There are no counts of single words in {blocks[0].name}.")
    tokens = [word.decode("utf-8", "surrogateescape") for word in seen]
    ends = EOS in tokens
    every = np.fromiter(seen.values(), np.int64, len(seen))
    special = np.array([t in (UNK, BOS, EOS) for t in tokens])
    frequent = [i for i in frequency_order(every, min_count).tolist() if not special[i]]
    vocabulary = Vocabulary((tokens[i] for i in frequent), ends=ends)
    ids = {word: vocabulary.id(token) for word, token in zip(seen, tokens, strict=True)}
    index = WordIndex(ids)
    order = max(block.order for block in blocks)
    rows = [np.concatenate([block.rows(k, index) for block in blocks]) for k in range(1, order + 1)]
    counts = [np.concatenate([block.counts(k) for block in blocks]) for k in range(1, order + 1)]
    return vocabulary, _trie(rows, counts, len(vocabulary))


class _Block:
    """The lines of a file: fields between white space, the last of each line its count."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self._fields = split_fields(data, _SPACES)
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
        stops = np.searchsorted(self._fields.starts, np.append(ends, len(data)))
        sizes = np.diff(stops, prepend=0)
        self._lines = np.flatnonzero(sizes)
        self._sizes, self._stops = sizes[self._lines], stops[self._lines]
        if (self._sizes < 2).any():
            raise self.error("an n-gram and its count should stand here", self._sizes < 2)
        numbers = decimals(self._fields.select(self._stops - 1))
        bad = ~((numbers >= 0) & (numbers < 2**31) & (numbers == np.floor(numbers)))
        if bad.any():
            raise self.error("the line should end in a count, a whole number below 2^31", bad)
        self._counts = numbers.astype(np.int64)

    @property
    def order(self) -> int:
        """Words of the longest n-gram."""
        return int(self._sizes.max(initial=1)) - 1

    def error(self, what: str, where: BoolArray) -> LangmodelsError:
        line = int(self._lines[int(where.argmax())]) + 1
        return LangmodelsError(f"{self.name}, line {line}: {what}.")

    def counts(self, order: int) -> IndexArray:
        """Counts of the n-grams of an order, (n,)."""
        counts: IndexArray = self._counts[self._sizes == order + 1]
        return counts

    def column(self, i: int, order: int) -> Fields:
        """Word i of each."""
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


def _parse(name: str) -> _Block:
    try:
        with Path(name).open("rb") as raw, unpacked(raw) as file:
            return _Block(name, file.read())
    except (OSError, EOFError, lzma.LZMAError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LangmodelsError(f"Cannot read {name}: {reason}.") from error


def _trie(rows: list[IntArray], counts: list[IndexArray], size: int) -> NGramCounts:
    """Equal n-grams added up, and all put in order."""
    unigrams = np.bincount(rows[0][:, 0], counts[0], size).astype(np.int64)
    words, starts, suffixes = [np.arange(size, dtype=np.int32)], [], [np.empty(0, np.int32)]
    summed = [unigrams]
    keys = [np.arange(size)]
    for k in range(2, len(rows) + 1):
        place = lexicographic_order(rows[k - 1], size)
        ordered = rows[k - 1][place]
        inside = (ordered[:, 1:] != Vocabulary.bos_id).all(axis=1)
        place, ordered = place[inside], ordered[inside]
        first = first_of_each(ordered)
        ordered = ordered[first]
        some = np.flatnonzero(first)
        summed.append(np.add.reduceat(counts[k - 1][place], some) if len(some) else counts[0][:0])
        parents, shorter = (
            _found(keys, ordered[:, part], size) for part in (slice(None, -1), slice(1, None))
        )
        if len(ordered) and min(parents.min(), shorter.min()) < 0:
            raise LangmodelsError(
                f"The counts of order {k - 1} lack words of n-grams of order {k}; write counts of "
                "all orders, and leave none out."
            )
        words.append(np.ascontiguousarray(ordered[:, -1]))
        starts.append(starts_of(np.bincount(parents, minlength=len(keys[-1]))))
        suffixes.append(shorter.astype(np.int32))
        keys.append(parents * size + words[-1])
    if max(int(c.max(initial=0)) for c in summed) >= 2**31:
        raise LangmodelsError("A sum of counts is too large: 2^31 or more.")
    return NGramCounts(words, starts, [c.astype(np.int32) for c in summed], suffixes)


def _found(keys: list[IndexArray], rows: IntArray, size: int) -> IndexArray:
    """Ids of n-grams, (M, k) words to (M,); -1 where there is none."""
    ids = rows[:, 0].astype(np.int64)
    for k in range(1, rows.shape[1]):
        key = ids * size + rows[:, k]
        at = np.minimum(np.searchsorted(keys[k], key), max(len(keys[k]) - 1, 0))
        known = (keys[k][at] == key) if len(keys[k]) else np.zeros(len(key), np.bool_)
        ids = np.where(known & (ids >= 0), at, -1)
    return ids
