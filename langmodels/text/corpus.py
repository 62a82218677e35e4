"""A corpus: the token ids of a text, with the reading that made them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import IndexArray, IntArray, occurrences
from langmodels.errors import LangmodelsError
from langmodels.text.indexing import (
    Pieces,
    encode_chunks,
    index_chunks,
)
from langmodels.text.levels import make_tokenizer
from langmodels.text.lines import parted
from langmodels.text.reading import Reading, WithReading
from langmodels.text.sequences import Sequences
from langmodels.text.streams import RawText, TextStream, line_starts, text_stream
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Corpus(WithReading, Sequences):
    """The sequences of a text as ids and offsets, with their reading and what is known of the text.

    `characters` is the length of the text. `text` is the text itself, if it was kept. `lines`
    (D+1,) are the first line of each of D documents, and the number of lines; None for a single
    document.
    """

    reading: Reading
    characters: int = 0
    name: str = ""
    text: str | None = None
    lines: IndexArray | None = None

    @property
    def document_starts(self) -> IndexArray | None:
        """The offset in `text` of each of D documents, and the length of the text, (D + 1,).

        None for a single document, and if the text was not kept.
        """
        if self.text is None or self.lines is None:
            return None
        return line_starts(self.text, self.lines)

    def stream(self) -> TextStream:
        """The text with its documents, for reading it in another way.

        Raises LangmodelsError if the text was not kept.
        """
        if self.text is None:
            raise LangmodelsError(
                "Comparing levels needs the text; make the corpora with keep_text."
            )
        lines = [] if self.lines is None else np.diff(self.lines).tolist()
        return TextStream([self.text], lines)

    @property
    def n_oov(self) -> int:
        """The number of `<unk>` tokens."""
        return int(self.id_counts()[Vocabulary.unk_id])

    @property
    def n_types(self) -> int:
        """The number of distinct tokens, without `<unk>` and the boundaries."""
        return int(np.count_nonzero(self.id_counts()[self.vocabulary.n_special :]))

    def id_counts(self) -> IndexArray:
        """The count of each id, (V,)."""
        return occurrences(self.held, len(self.vocabulary))

    def sequences(self) -> Iterator[IntArray]:
        """Yield the ids of each sequence, without boundaries."""
        end = -1 if self.vocabulary.ends else None
        for begin, stop in zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True):
            yield self.ids[begin + 1 : stop][:end]

    @checked
    def head(self, n_tokens: int) -> "Corpus":
        """A corpus of about the first `n_tokens`: of whole sequences if they have ends, else cut
        exactly.

        It has at least one sequence.
        """
        if n_tokens >= self.n_tokens:
            return self
        if self.vocabulary.ends:
            # Targets before sequence s: its offset less one <s> for each sequence before it.
            before = self.offsets - np.arange(len(self.offsets))
            last = max(1, int(np.searchsorted(before, n_tokens, side="right")) - 1)
            offsets = self.offsets[: last + 1]
        else:
            first = int(np.searchsorted(self.offsets, n_tokens + 1))
            offsets = np.append(self.offsets[: max(1, first)], n_tokens + max(1, first))
        share = (int(offsets[-1]) - len(offsets) + 1) / self.n_tokens
        ids = self.held[: int(offsets[-1])]
        unknown = self.unknown
        if unknown is not None:
            unknown = unknown[: int(np.count_nonzero(ids == Vocabulary.unk_id))]
        return replace(
            self,
            held=ids,
            offsets=offsets,
            characters=round(self.characters * share),
            text=None,
            lines=None,
            unknown=unknown,
            documents=self._documents_of_head(len(offsets) - 1),
        )

    def _documents_of_head(self, n: int) -> IndexArray | None:
        """The offsets of documents among the first n sequences."""
        return None if self.documents is None else np.unique(np.minimum(self.documents, n))

    def __len__(self) -> int:
        return self.n_tokens

    def __repr__(self) -> str:
        return (
            f"Corpus({self.name!r}, {self.n_tokens} tokens in {self.n_sequences} sequences, "
            f"{len(self.vocabulary)} types)"
        )

    @classmethod
    @checked
    def from_text(
        cls,
        text: RawText,
        tokenizer: Tokenizer | str = "word",
        *,
        vocabulary: Vocabulary | None = None,
        min_count: int = 1,
        max_size: int | None = None,
        cleaning: str = "none",
        name: str = "",
        keep_text: bool = False,
    ) -> "Corpus":
        """Clean, tokenize and encode a text.

        `text` is a string, the path of a file or folder as `--corpus` takes it, a list of lines, or
        a stream of pieces, cut anywhere. `tokenizer` is a tokenizer or the name of a level. Without
        `vocabulary` one is made of the `max_size` most frequent tokens that occur at least
        `min_count` times, or of all pieces of a tokenizer that has a set of them; tokens not in the
        vocabulary become `<unk>`. Blank lines are not sequences. The words `<s>` and `</s>` in a
        text become `<unk>`. A tokenizer that learns is fitted to the text if the vocabulary is. The
        documents of a stream are kept.

        Raises LangmodelsError where the text has no tokens or the file cannot be read.

        >>> Corpus.from_text(["red fox", "red hen"]).n_sequences
        2
        """
        return cls.from_cleaned(
            text_stream(text).cleaned(cleaning),
            make_tokenizer(tokenizer) if isinstance(tokenizer, str) else tokenizer,
            cleaning,
            vocabulary=vocabulary,
            min_count=min_count,
            max_size=max_size,
            name=name or (str(text) if isinstance(text, Path) else ""),
            keep_text=keep_text,
        )

    @classmethod
    def from_cleaned(
        cls,
        stream: TextStream,
        tokenizer: Tokenizer,
        cleaning: str,
        *,
        vocabulary: Vocabulary | None = None,
        min_count: int = 1,
        max_size: int | None = None,
        name: str = "",
        keep_text: bool = False,
    ) -> "Corpus":
        """`from_text` for a text that has already been cleaned as `cleaning` says."""
        if vocabulary is None and tokenizer.learns:
            whole = "".join(parted(stream))
            tokenizer = tokenizer.fit(whole)
            stream = TextStream(text_stream(whole), stream.lines)
        pieces = Pieces(stream, tokenizer, keep_text)
        unknown: list[str] | None
        if vocabulary is None:
            found, vocabulary, unknown = index_chunks(pieces, tokenizer, min_count, max_size)
        else:
            found, unknown = encode_chunks(pieces, tokenizer, vocabulary, unknown=True)
        lines, documents = stream.starts(), None
        if lines is not None and vocabulary.ends:
            begins = np.searchsorted(np.flatnonzero(found.kept), lines)
            documents = np.unique(begins)  # those without a word are left out
            documents = documents if len(documents) > 2 else None
        ids, offsets, _ = found
        if len(ids) <= len(offsets) - 1:
            where = f" in {name}" if name else ""
            raise LangmodelsError(f"There is no text{where}: it is empty or only white space.")
        return cls(
            ids,
            offsets,
            Reading(tokenizer, vocabulary, cleaning),
            pieces.characters,
            name,
            "".join(pieces.kept) if keep_text else None,
            lines,
            unknown=unknown,
            documents=documents,
        )

    @classmethod
    @checked
    def of(cls, sequences: Sequences, reading: Reading, name: str = "") -> "Corpus":
        """A corpus of given sequences and their reading."""
        return cls(
            sequences.held,
            sequences.offsets,
            reading,
            name=name,
            unknown=sequences.unknown,
            documents=sequences.documents,
            carry=sequences.carry,
        )

    @classmethod
    @checked
    def read_by(
        cls, reading: Reading, text: RawText, *, name: str = "", keep_text: bool = False
    ) -> "Corpus":
        """A text read by a given reading. Raises what `from_text` raises."""
        return cls.from_text(
            text,
            reading.tokenizer,
            vocabulary=reading.vocabulary,
            cleaning=reading.cleaning,
            name=name,
            keep_text=keep_text,
        )

    @classmethod
    @checked
    def extending(
        cls, reading: Reading, text: RawText, *, min_count: int = 1, name: str = ""
    ) -> "Corpus":
        """A text read by a given reading whose vocabulary is extended by the new tokens of the
        text.

        Unknown tokens that occur at least `min_count` times are added at the end of the vocabulary;
        others become `<unk>`. Learnt vocabularies, such as those of subwords, are not extended.
        Raises what `from_text` raises.

        >>> known = Corpus.from_text("red fox").reading
        >>> Corpus.extending(known, "red hen").vocabulary.tokens[3:]
        ['red', 'fox', 'hen']
        """
        if reading.tokenizer.learns:
            return cls.read_by(reading, text, name=name)
        own = cls.from_text(text, reading.tokenizer, cleaning=reading.cleaning, name=name)
        often = own.id_counts() >= min_count
        often[: own.vocabulary.n_special] = False
        new = own.vocabulary.decode(np.flatnonzero(often).tolist())
        return own.recoded(reading.vocabulary.extended(new))

    @checked
    def recoded(self, vocabulary: Vocabulary) -> "Corpus":
        """The corpus re-encoded in another vocabulary, with `<unk>` for tokens that this lacks."""
        ids = vocabulary.ids_of(self.vocabulary)[self.held]
        unknown = None
        if self.unknown is not None:
            were = iter(self.unknown)
            tokens, unk = self.vocabulary.tokens, Vocabulary.unk_id
            lost = self.held[ids == unk].tolist()
            unknown = [next(were) if i == unk else tokens[i] for i in lost]
        reading = replace(self.reading, vocabulary=vocabulary)
        return replace(self, held=ids, reading=reading, unknown=unknown)

    @classmethod
    def from_sequences(
        cls,
        sequences: Iterable[Sequence[str]],
        tokenizer: Tokenizer,
        vocabulary: Vocabulary,
        *,
        name: str = "",
    ) -> "Corpus":
        """A corpus of tokenized sequences, to which boundaries are added; empty ones are kept."""
        texts = list(sequences)
        found = Sequences.bounded(map(vocabulary.encode, texts), vocabulary)
        characters = sum(len(tokenizer.detokenize(t)) + int(vocabulary.ends) for t in texts)
        return cls(found.ids, found.offsets, Reading(tokenizer, vocabulary), characters, name)


AnyText = Corpus | RawText
"""What models can be fitted to: a corpus, or a plain text, which is split into words."""
