"""A corpus: one array of token ids, with the boundaries of its sequences in place."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from langmodels.arrays import IndexArray, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.text.byte_fields import WordIndex, encode_text, space_table, split_fields
from langmodels.text.cleaning import clean
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import BOS, EOS, UNK, TokenIds, Vocabulary, frequency_order


@dataclass(frozen=True, eq=False)
class Corpus:
    """Token ids of a text.

    `ids` (N,) int32: every sequence is `<s> w1 .. wn </s>` where the vocabulary has ends, and
    `<s> w1 .. wn` otherwise. `offsets` (S+1,) int64: where each sequence begins in `ids`, and N.
    `characters`: characters of text that the ids stand for. `text`: that text, where it was kept.
    `cleaning`: how it was cleaned before, one of `CLEANINGS`.
    """

    ids: IntArray
    offsets: IndexArray
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    characters: int
    name: str = ""
    text: str | None = None
    cleaning: str = "none"

    @property
    def targets(self) -> IntArray:
        """What a model predicts, (n_tokens,): every id but `<s>`, `</s>` included."""
        targets: IntArray = self.ids[self.ids != Vocabulary.bos_id]
        return targets

    @property
    def n_sequences(self) -> int:
        """Number of sequences."""
        return len(self.offsets) - 1

    @property
    def n_tokens(self) -> int:
        """Number of predicted tokens: what a perplexity is an average over."""
        return len(self.ids) - self.n_sequences

    @property
    def n_oov(self) -> int:
        """How many tokens are `<unk>`."""
        return int(np.count_nonzero(self.ids == Vocabulary.unk_id))

    @property
    def n_types(self) -> int:
        """How many different tokens occur, `<unk>` and the boundaries left out."""
        seen = np.bincount(self.ids, minlength=len(self.vocabulary))
        return int(np.count_nonzero(seen[self.vocabulary.n_special :]))

    def sequences(self) -> Iterator[IntArray]:
        """Each sequence's ids, boundaries left out."""
        end = -1 if self.vocabulary.ends else None
        for begin, stop in zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True):
            yield self.ids[begin + 1 : stop][:end]

    def head(self, n_tokens: int) -> "Corpus":
        """About the first `n_tokens`: whole sequences where they have ends, else cut to the token.

        At least one sequence is kept.
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
        return replace(
            self,
            ids=self.ids[: int(offsets[-1])],
            offsets=offsets,
            characters=round(self.characters * share),
            text=None,
        )

    def __len__(self) -> int:
        return self.n_tokens

    def __repr__(self) -> str:
        return (
            f"Corpus({self.name!r}, {self.n_tokens} tokens in {self.n_sequences} sequences, "
            f"{len(self.vocabulary)} types)"
        )

    @classmethod
    def from_text(
        cls,
        text: str | Iterable[str],
        tokenizer: Tokenizer,
        *,
        vocabulary: Vocabulary | None = None,
        min_count: int = 1,
        max_size: int | None = None,
        cleaning: str = "none",
        name: str = "",
        keep_text: bool = False,
    ) -> "Corpus":
        """Clean a text, whole or in pieces, and read it into ids.

        Without a `vocabulary` one is made: the tokens seen at least `min_count` times, of these the
        `max_size` most frequent. With one, tokens that it lacks become `<unk>`. Blank lines are not
        sequences. The words `<s>` and `</s>` in a text count as `<unk>`. A tokenizer that learns is
        fitted to the text where the vocabulary is; the corpus has the fitted one.

        Raises LangmodelsError where the text has no tokens.
        """
        chunks: Iterable[str] = clean([text] if isinstance(text, str) else text, cleaning)
        if vocabulary is None and tokenizer.learns:
            chunks = ["".join(chunks)]
            tokenizer = tokenizer.fit(chunks[0])
        pieces = _Pieces(chunks, tokenizer, keep_text)
        if vocabulary is None:
            ids, vocabulary = _index(pieces, tokenizer, min_count, max_size)
        else:
            ids = _encode(pieces, tokenizer, vocabulary)
        ids, offsets = _with_boundaries(ids, vocabulary)
        if len(ids) <= len(offsets) - 1:
            where = f" in {name}" if name else ""
            raise LangmodelsError(f"There is no text{where}: it is empty or only white space.")
        return cls(
            ids,
            offsets,
            vocabulary,
            tokenizer,
            pieces.characters,
            name,
            "".join(pieces.kept) if keep_text else None,
            cleaning,
        )

    @classmethod
    def from_sequences(
        cls,
        sequences: Iterable[Sequence[str]],
        tokenizer: Tokenizer,
        vocabulary: Vocabulary,
        *,
        name: str = "",
    ) -> "Corpus":
        """Already tokenized sequences, each with boundaries added, empty ones included."""
        tokens: list[IntArray] = []
        characters = 0
        bos = np.array([vocabulary.bos_id], np.int32)
        eos = np.array([] if vocabulary.eos_id is None else [vocabulary.eos_id], np.int32)
        lengths = [0]
        for sequence in sequences:
            ids = vocabulary.encode(sequence)
            tokens += [bos, ids, eos]
            lengths.append(len(ids) + len(bos) + len(eos))
            characters += len(tokenizer.detokenize(sequence)) + int(vocabulary.ends)
        ids = np.concatenate(tokens) if tokens else np.empty(0, np.int32)
        return cls(ids, np.cumsum(lengths), vocabulary, tokenizer, characters, name)


class _Pieces:
    """A text that comes in chunks, cut where no token is cut."""

    def __init__(self, chunks: Iterable[str], tokenizer: Tokenizer, keep: bool) -> None:
        self._chunks = chunks
        self._tokenizer = tokenizer
        self._keep = keep
        self.characters = 0
        self.kept: list[str] = []

    def __iter__(self) -> Iterator[str]:
        rest = ""
        for chunk in self._chunks:
            self.characters += len(chunk)
            if self._keep:
                self.kept.append(chunk)
            text = rest + chunk
            cut = self._tokenizer.safe_cut(text)
            rest = text[cut:]
            if cut:
                yield text[:cut]
        if rest:
            yield rest


_MANY = 1 << 17
"""Characters for which it pays to index a vocabulary."""

# What str.split takes for white space.
_SPACES = space_table(b"\t\n\v\f\r\x1c\x1d\x1e\x1f ")
_OTHER_SPACES = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")

# While a text is read, tokens have ids by first appearance; these come first.
_LINE_END, _UNK = 0, 1


def _index(
    pieces: Iterable[str], tokenizer: Tokenizer, min_count: int, max_size: int | None
) -> tuple[IntArray, Vocabulary]:
    """Ids of all pieces, line ends as `</s>`, and the vocabulary made from them."""
    first_seen: defaultdict[str, int] = defaultdict()
    if tokenizer.ends:
        first_seen[tokenizer.line_end] = _LINE_END
    else:
        first_seen[""] = _LINE_END  # no token is empty, so this holds the place
    first_seen.update({UNK: _UNK, BOS: _UNK, EOS: _UNK})
    # The specials share an id, so ids are not dense here; numbering goes on from the size.
    first_seen.default_factory = first_seen.__len__
    n_reserved = len(first_seen)
    arrays = []
    n_indexed = 0
    for text in pieces:
        if tokenizer.splits_lines and len(first_seen) > 2 * n_indexed + n_reserved:
            # Most words of the following pieces are among those known now.
            index = WordIndex({encode_text(t): i for t, i in first_seen.items()})
            n_indexed = len(first_seen)
        if n_indexed:
            arrays.append(_word_ids(text, index, _LINE_END, first_seen))
        else:
            arrays.append(_token_ids(tokenizer.tokenize_lines(text), first_seen))
    ids = np.concatenate(arrays) if arrays else np.empty(0, np.int32)
    del arrays
    tokens = list(first_seen)
    counts = np.bincount(ids, minlength=len(tokens))
    order = frequency_order(counts[n_reserved:], min_count, max_size) + n_reserved
    order = order[counts[order] > 0]
    vocabulary = Vocabulary((tokens[i] for i in order.tolist()), ends=tokenizer.ends)
    final = np.zeros(len(tokens), np.int32)  # <unk> unless kept
    final[order] = np.arange(len(order), dtype=np.int32) + vocabulary.n_special
    if vocabulary.eos_id is not None:
        final[_LINE_END] = vocabulary.eos_id
    return final[ids], vocabulary


def _encode(pieces: Iterable[str], tokenizer: Tokenizer, vocabulary: Vocabulary) -> IntArray:
    """Ids of all pieces in a given vocabulary, line ends as `</s>`."""
    if tokenizer.ends != vocabulary.ends:
        raise UsageError(
            f"The {tokenizer.level} tokenizer does not fit this vocabulary: one has line ends, "
            "the other has not."
        )
    arrays = []
    known: TokenIds | None = None
    for text in pieces:
        if tokenizer.splits_lines and vocabulary.eos_id is not None and len(text) >= _MANY:
            arrays.append(_word_ids(text, vocabulary.word_index, vocabulary.eos_id))
            continue
        if known is None:
            known = TokenIds(vocabulary.text_ids)
            if vocabulary.eos_id is not None:
                known[tokenizer.line_end] = vocabulary.eos_id
        arrays.append(_token_ids(tokenizer.tokenize_lines(text), known))
    return np.concatenate(arrays) if arrays else np.empty(0, np.int32)


def _token_ids(tokens: Sequence[str], ids: dict[str, int]) -> IntArray:
    return np.fromiter(map(ids.__getitem__, tokens), np.int32, len(tokens))


def _word_ids(
    text: str, index: WordIndex, line_end: int, others: dict[str, int] | None = None
) -> IntArray:
    """The same for a text that a tokenizer with `splits_lines` reads, by array code.

    `others` has the ids of words that are not in the index; without it they are `<unk>`.
    """
    if not text.isascii():
        text = _OTHER_SPACES.sub(" ", text)
    words = split_fields(encode_text(text), _SPACES)
    ids = index.find(words)
    missing = np.flatnonzero(ids < 0)
    if others is None:
        ids[missing] = Vocabulary.unk_id
    else:
        tokens = [word.decode("utf-8", "surrogatepass") for word in words.select(missing)]
        ids[missing] = _token_ids(tokens, others)
    ends = np.flatnonzero(np.frombuffer(words.data, np.uint8) == ord("\n"))
    return np.insert(ids, np.searchsorted(words.starts, ends), np.int32(line_end))


def _with_boundaries(ids: IntArray, vocabulary: Vocabulary) -> tuple[IntArray, IndexArray]:
    """Put `<s>` before every sequence; drop blank lines; end the last line."""
    if vocabulary.eos_id is None:
        ids = np.concatenate([np.array([vocabulary.bos_id], np.int32), ids])
        return ids, np.array([0, len(ids)], np.int64)
    is_end = ids == vocabulary.eos_id
    blank = is_end.copy()
    blank[1:] &= is_end[:-1]
    if blank.any():
        ids = ids[~blank]
    if len(ids) and ids[-1] != vocabulary.eos_id:
        ids = np.append(ids, np.int32(vocabulary.eos_id))
    ends = np.flatnonzero(ids == vocabulary.eos_id) + 1
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    ids = np.insert(ids, starts, np.int32(vocabulary.bos_id))
    offsets = np.zeros(len(ends) + 1, np.int64)
    offsets[1:] = ends + np.arange(1, len(ends) + 1)
    return ids, offsets
