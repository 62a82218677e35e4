"""A text whose ids are stored in a file, for texts larger than memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from langmodels.arrays import IndexArray, IntArray
from langmodels.columns import Column, ColumnWriter
from langmodels.errors import LangmodelsError, UsageError
from langmodels.progress import track
from langmodels.tensors import open_arrays, save_arrays
from langmodels.text.indexing import Numbering, Pieces, encoded, with_boundaries
from langmodels.text.reading import Reading, WithReading
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import Vocabulary

_IDS, _NUMBERS, _ABOUT = "ids", "numbers", "text"


@dataclass(frozen=True)
class StoredText(WithReading):
    """The ids of a text in files of a folder; they equal those of a `Corpus`.

    `ids` (T,) int32, on disk: the concatenated sequences with boundaries. `counts` (V,) int64: the
    count of each id.
    """

    ids: Column
    counts: IndexArray
    reading: Reading
    name: str = ""

    @property
    def n_sequences(self) -> int:
        """Number of sequences."""
        return int(self.counts[Vocabulary.bos_id])

    @property
    def n_tokens(self) -> int:
        """Number of predicted tokens."""
        return len(self.ids) - self.n_sequences

    @property
    def n_oov(self) -> int:
        """The number of `<unk>` tokens."""
        return int(self.counts[Vocabulary.unk_id])

    @property
    def n_types(self) -> int:
        """The number of distinct tokens, without `<unk>` and the boundaries."""
        return int(np.count_nonzero(self.counts[self.vocabulary.n_special :]))

    def blocks(self, size: int, before: int, after: int) -> Iterator[IntArray]:
        """Yield blocks of `size` ids, each extended by `before` ids in front and `after` ids
        behind; `<s>` pads the text at both ends.
        """
        total = len(self.ids)
        for start in range(0, total, size):
            stop = min(start + size, total)
            low, high = max(0, start - before), min(stop + after, total)
            yield np.pad(
                self.ids[low:high],
                (before - (start - low), after - (high - stop)),
                constant_values=Vocabulary.bos_id,
            )

    @classmethod
    def read(
        cls,
        chunks: Iterable[str],
        tokenizer: Tokenizer,
        cleaning: str,
        folder: Path,
        *,
        vocabulary: Vocabulary | None = None,
        min_count: int = 1,
        max_size: int | None = None,
        name: str = "",
        limit: int = 2**31 - 2**16,
    ) -> "StoredText":
        """Encode a cleaned text, as `Corpus.from_cleaned` does, into files of a folder.

        Raises LangmodelsError where the text has no tokens, or more than `limit`; UsageError for
        a tokenizer that learns from whole texts.
        """
        if tokenizer.learns:
            raise UsageError(
                f"Level {tokenizer.level} learns its tokens from a whole text in memory; use "
                "another level, or leave out --memory."
            )
        pieces = Pieces(chunks, tokenizer, keep=False)
        with track("Reading the text") as meter:

            def counted(blocks: Iterable[IntArray]) -> Iterator[IntArray]:
                total = 0
                for ids in blocks:
                    total += len(ids)
                    if total > limit:
                        raise LangmodelsError(
                            f"The text has more than {limit:,} tokens, and so maybe more n-grams "
                            "of an order than there are 32-bit numbers; take less of it."
                        )
                    meter.advance(len(ids), note=f"{total:,} tokens")
                    yield ids

            if vocabulary is None:
                vocabulary, blocks = _numbered(
                    counted, pieces, tokenizer, min_count, max_size, folder
                )
            else:
                blocks = counted(encoded(pieces, tokenizer, vocabulary))
            counts = np.zeros(len(vocabulary), np.int64)
            with ColumnWriter(folder / _IDS, np.int32) as writer:
                for ids in _bounded(blocks, vocabulary):
                    writer.append(ids)
                    counts += np.bincount(ids, minlength=len(counts))
                column = writer.column
        (folder / _NUMBERS).unlink(missing_ok=True)
        text = cls(column, counts, Reading(tokenizer, vocabulary, cleaning), name)
        if text.n_tokens <= 0:
            where = f" in {name}" if name else ""
            raise LangmodelsError(f"There is no text{where}: it is empty or only white space.")
        reading = text.reading
        arrays = {**reading.arrays(), "counts": counts}
        about = {**reading.metadata(), "name": name, "checksum": str(column.checksum)}
        save_arrays(folder / _ABOUT, arrays, about)
        return text

    @classmethod
    def open(cls, folder: Path) -> "StoredText | None":
        """Open what `read` wrote to a folder; None if it was not completed.

        Raises LangmodelsError for damaged files.
        """
        if not (folder / _ABOUT).exists():
            return None
        metadata, arrays = open_arrays(folder / _ABOUT, mmap=False)
        try:
            counts, checksum = arrays["counts"], int(metadata["checksum"])
            reading, name = Reading.restore(metadata, arrays), metadata["name"]
        except (KeyError, TypeError, ValueError) as error:
            raise LangmodelsError(f"What is known of the text in {folder} is damaged.") from error
        column = Column(folder / _IDS, np.dtype("<i4"), int(counts.sum()), checksum=checksum)
        known = arrays.verify() and len(counts) == len(reading.vocabulary)
        if not known or not column.is_whole():
            raise LangmodelsError(f"The text in {folder} is damaged.")
        return cls(column, counts, reading, name)


def _numbered(
    counted: Callable[[Iterable[IntArray]], Iterator[IntArray]],
    pieces: Iterable[str],
    tokenizer: Tokenizer,
    min_count: int,
    max_size: int | None,
    folder: Path,
) -> tuple[Vocabulary, Iterator[IntArray]]:
    """The vocabulary made from a text, and the text's ids in it; provisional ids go through a
    file.
    """
    numbering = Numbering(tokenizer)
    with ColumnWriter(folder / _NUMBERS, np.int32) as writer:
        for ids in counted(map(numbering.read, pieces)):
            writer.append(ids)
        column = writer.column
    vocabulary, final = numbering.settle(min_count, max_size)
    return vocabulary, (final[ids] for ids in column.pieces())


def _bounded(blocks: Iterable[IntArray], vocabulary: Vocabulary) -> Iterator[IntArray]:
    """Yield the ids of consecutive pieces with the boundaries of the whole text inserted."""
    if vocabulary.eos_id is None:
        yield np.array([vocabulary.bos_id], np.int32)
        yield from blocks
        return
    rest = np.empty(0, np.int32)
    for block in blocks:
        ids = np.concatenate([rest, block])
        ends = np.flatnonzero(ids == vocabulary.eos_id)
        cut = int(ends[-1]) + 1 if len(ends) else 0
        rest = ids[cut:]
        if cut:
            yield with_boundaries([ids[:cut]], vocabulary).ids
    if len(rest):
        yield with_boundaries([rest], vocabulary).ids
