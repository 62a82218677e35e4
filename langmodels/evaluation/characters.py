"""Bits per character of the raw text, by which models of different units are comparable.

A model of words assigns no probability to what tokenization drops. So that its loss is of the same
text as that of a character model, the rest is charged here: the spelling of unknown words, the
white space between tokens, capitals if the tokenizer folds case, and the decimals of binned
numbers. All but the last are predicted by small n-gram models fitted to the training text. Tokens
and these extras together are a lossless code of the text: the total is -log of a probability of
that text.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain

import numpy as np

from langmodels.arrays import BoolArray, FloatArray, IndexArray
from langmodels.errors import LangmodelsError
from langmodels.evaluation.alignment import Alignment, Strings, align
from langmodels.evaluation.statistics import block_edges, document_edges
from langmodels.ngram import NGramModel
from langmodels.text.corpus import Corpus
from langmodels.text.reading import Reading
from langmodels.text.sequences import Sequences
from langmodels.text.series import SeriesTokenizer
from langmodels.text.splits import Splits
from langmodels.text.subwords import BYTE_PIECE
from langmodels.text.tokenization import CharacterTokenizer, WhitespaceTokenizer
from langmodels.text.vocabulary import BOS, EOS, Vocabulary

CODE_POINTS = 0x110000
"""The number of code points, over which unseen characters are uniform; unseen bytes are over
256.
"""


_OTHER_TEXT = (
    "Bits per character need the text that the corpus was made from; this one has other tokens."
)

Rows = tuple[Strings, ...]
"""Columns of equal length: the last one is predicted from the others, whose most distant comes
first.
"""


@dataclass(frozen=True)
class TextCosts:
    """The costs of the targets of a test corpus beyond the model's own -log p.

    `ends` (n,) is the end of each target in characters of the raw text, which has `length`. `extra`
    (n,) are nats, and `parts` their totals by reason. `per` is "char", or "token" if tokens cannot
    be located in the text and losses are per token.
    """

    ends: IndexArray
    extra: FloatArray
    length: int
    parts: dict[str, float] = field(default_factory=dict)
    per: str = "char"


def token_costs(splits: Splits) -> TextCosts:
    """The costs for tokens without text: no extras, and losses per token."""
    n = splits.test.n_tokens
    return TextCosts(np.arange(1, n + 1), np.zeros(n), n, per="token")


def text_costs(splits: Splits) -> TextCosts:
    """The extra costs of the test part, by models fitted to the training part.

    Raises LangmodelsError if the splits did not keep their text, or tokens cannot be located in it.
    """
    if splits.train.text is None or splits.test.text is None:
        raise LangmodelsError(
            "Bits per character need the text; make the corpora with keep_text=True."
        )
    if splits.test.tokenizer.reversible and not splits.test.tokenizer.ends:
        return _stream_costs(splits.test, splits.train.text, splits.test.text)
    tokenizer = splits.test.tokenizer
    if isinstance(tokenizer, SeriesTokenizer):
        ends, decimals = tokenizer.lost_nats(splits.test.text)
        lost = {"decimals": float(decimals.sum())}
        return TextCosts(ends, decimals, len(splits.test.text), lost)
    if tokenizer.changes_text:
        return _changed_costs(splits.test, splits.train.text, splits.test.text)
    train = align(splits.train.text, tokenizer)
    test = align(splits.test.text, tokenizer)
    if len(test.tokens) != splits.test.n_tokens:
        raise LangmodelsError(_OTHER_TEXT)
    speller = Speller((*train.tokens.types, *train.gaps.types))
    unknown = splits.test.targets == Vocabulary.unk_id
    spelling = np.zeros(len(unknown))
    spelling[unknown] = speller.costs(test.tokens[unknown])
    spacing = _spacing_costs(train, test, speller)
    parts = {"spelling": spelling, "blank lines" if tokenizer.reversible else "spacing": spacing}
    if getattr(tokenizer, "lower", False):
        parts["capitals"] = _capital_costs(train, test)
    return TextCosts(
        test.ends,
        np.sum(list(parts.values()), axis=0),
        len(splits.test.text),
        {name: float(costs.sum()) for name, costs in parts.items()},
    )


def check_same_text(lengths: Iterable[int]) -> None:
    """Raise LangmodelsError if several readings of a text charge different numbers of
    characters.
    """
    if len(set(lengths)) > 1:
        raise LangmodelsError(
            f"The text contains {BOS} or {EOS}. Word levels take these for boundary marks and "
            "others for text, so figures do not compare: remove them from the text, or name a "
            "word level first in `compare`."
        )


def _stream_costs(test: Corpus, train_text: str, text: str) -> TextCosts:
    """The costs if tokens make up the whole text: only unknown tokens have extras.

    A token of a finite alphabet is drawn uniformly from its unseen members, any other is spelled.
    """
    tokenizer, vocabulary = test.tokenizer, test.vocabulary
    ends = tokenizer.token_ends(text)
    if len(ends) != test.n_tokens or ends[-1] != len(text):
        raise LangmodelsError(_OTHER_TEXT)
    unknown = test.targets == Vocabulary.unk_id
    spelling = np.zeros(len(ends))
    if tokenizer.alphabet is not None:
        known = len(vocabulary) - vocabulary.n_special
        spelling[unknown] = np.log(max(tokenizer.alphabet - known, 1))
    elif unknown.any():
        tokens = tokenizer.tokenize_lines(text)
        speller = Speller(tokenizer.tokenize_lines(train_text))
        strings = Strings.of([tokens[i] for i in np.flatnonzero(unknown).tolist()])
        spelling[unknown] = speller.costs(strings)
    return TextCosts(ends, spelling, len(text), {"spelling": float(spelling.sum())})


def resampled(length: int, per: str, corpus: Corpus) -> tuple[FloatArray, str]:
    """The edges of the units that are resampled, (B + 1,), starting with 0, and their name:
    "documents" or "blocks".

    Units are documents if there are enough, else blocks of neighbouring characters, or of tokens if
    `per` is "token"; there are `length` of these.
    """
    starts = corpus.document_starts if per == "char" else None
    edges = None if starts is None else document_edges(starts)
    return (block_edges(length), "blocks") if edges is None else (edges, "documents")


@dataclass(frozen=True)
class _Surfaces:
    """The substring of a text for each of the n targets of a tokenizer that changes text.

    `ends` (n,) are the ends of the substrings, which cover the text. `rows` are for each whether it
    starts a line, the kind of its token, and how it differs from the token.
    """

    ends: IndexArray
    rows: Rows


def _surfaces(text: str, reading: Reading) -> _Surfaces:
    tokenizer, vocabulary = reading.tokenizer, reading.vocabulary
    tokens, ends = list(tokenizer.tokenize_lines(text)), tokenizer.token_ends(text)
    if tokenizer.ends:
        tokens, ends = [*tokens, tokenizer.line_end], np.append(ends, len(text))
    is_end = np.array([tokenizer.ends and token == tokenizer.line_end for token in tokens])
    # A line end includes the blank lines that follow; blank lines at the start belong to the first
    # token.
    kept = np.flatnonzero(~is_end | np.r_[False, ~is_end[:-1]])
    ends = ends[np.append(kept[1:] - 1, len(tokens) - 1)] if len(kept) else ends[:0]
    where, kinds, changes = [], [], []
    pending = b""  # bytes of an incomplete character
    first, begin = True, 0

    @cache
    def reads(token: str) -> str:
        return tokenizer.reads(token) if token in vocabulary else ""

    for i, end in zip(kept.tolist(), ends.tolist(), strict=True):
        token, surface = tokens[i], text[begin:end]
        expected = "\n" if is_end[i] else reads(token)
        kind = "end" if is_end[i] else "blank" if expected[:1] == " " else "piece"
        if not expected and BYTE_PIECE.fullmatch(token):
            kind = "byte"
            pending += bytes([int(token[3:5], 16)])
            expected = pending.decode("utf-8", "ignore")
        elif not expected:
            kind = "unknown"
        if expected:
            pending = b""
        where.append("first" if first else "rest")
        kinds.append(kind)
        changes.append(_change(expected, surface))
        first, begin = bool(is_end[i]), end
    return _Surfaces(ends, tuple(map(Strings.of, (where, kinds, changes))))


def _change(expected: str, surface: str) -> str:
    """How a substring differs from the expected one: "same", "no blank", or the substring
    itself.
    """
    if surface == expected:
        return "same"
    return "no blank" if expected == f" {surface}" else f"={surface}"


def _changed_costs(test: Corpus, train_text: str, text: str) -> TextCosts:
    """The costs if the tokenizer changes the text: the original is charged for, and unknown
    tokens.
    """
    train, found = _surfaces(train_text, test.reading), _surfaces(text, test.reading)
    if len(found.ends) != test.n_tokens:
        raise LangmodelsError(_OTHER_TEXT)
    changes = found.rows[-1]
    paid, unseen = _conditional_costs(train.rows, found.rows)
    speller = Speller((*train.rows[-1].types, *test.vocabulary.tokens))
    paid[unseen] += speller.costs(changes[unseen])
    return TextCosts(found.ends, paid, len(text), {"changes": float(paid.sum())})


class Speller:
    """A character n-gram model of the words (each type once) and gaps of a text, for the cost of
    spelling.
    """

    _ORDER = 5

    def __init__(self, strings: Iterable[str]) -> None:
        strings = dict.fromkeys(s for s in strings if s and s != EOS)
        letters = Counter(chain.from_iterable(strings))
        self._vocabulary = Vocabulary.from_counts(letters)
        model = NGramModel(order=self._ORDER, smoothing="witten_bell")
        self._model = model.fit(self._corpus(list(strings)))

    def _corpus(self, strings: Sequence[str]) -> Corpus:
        return Corpus.from_sequences(strings, CharacterTokenizer(lines=True), self._vocabulary)

    def costs(self, strings: Strings) -> FloatArray:
        """-log p in nats of each string, (n,), with its end."""
        if not len(strings):
            return np.zeros(0)
        used, inverse = np.unique(strings.ids, return_inverse=True)
        corpus = self._corpus([strings.types[i] for i in used.tolist()])
        costs = -self._model.score_corpus(corpus)
        unseen = CODE_POINTS - (len(self._vocabulary) - self._vocabulary.n_special)
        costs += np.where(corpus.targets == Vocabulary.unk_id, np.log(unseen), 0.0)
        starts = corpus.offsets[:-1] - np.arange(len(used))  # targets have no <s>
        sums: FloatArray = np.add.reduceat(costs, starts)[inverse]
        return sums


def _spacing_costs(train: Alignment, test: Alignment, speller: Speller) -> FloatArray:
    """The cost in nats of the gap before each target, (n,): p(gap | gap before, token before, token
    after).

    The gap before distinguishes opening from closing quotation marks.
    """
    costs = np.zeros(len(test.tokens))
    rows = _gap_rows(test)
    gaps = rows[-1]
    if len(gaps):
        paid, unseen = _conditional_costs(_gap_rows(train), rows)
        paid[unseen] += speller.costs(gaps[unseen])
        costs[test.with_gap] = paid
    for index, gap in ((0, test.lead), (-1, test.tail)):
        costs[index] += speller.costs(Strings.of([gap] if gap else [])).sum()
    return costs


def _gap_rows(alignment: Alignment) -> Rows:
    """The columns: gap before, kind of the token before, kind of the token after, gap."""
    at, gaps, kinds = alignment.with_gap, alignment.gaps, alignment.tokens.map(_kind)
    return gaps.after("line"), kinds[at - 1], kinds[at], gaps


def _kind(token: str) -> str:
    """The kind of a token, on which spacing depends: a punctuation mark itself, or word, number,
    line end.
    """
    if token == EOS:
        return "end"
    if token[0].isalnum():
        return "number" if token[0].isdigit() else "word"
    return token[0]


def _capital_costs(train: Alignment, test: Alignment) -> FloatArray:
    """The cost in nats of the case of each target, (n,): p(case | token before, token)."""
    costs = np.zeros(len(test.tokens))
    at, rows = _case_rows(test)
    if len(at):
        paid, unseen = _conditional_costs(_case_rows(train)[1], rows)
        paid[unseen] += np.log(len(_CASES))
        # Mixed case costs a bit for each cased letter.
        surfaces = test.surfaces
        letters = [sum(map(_has_case, s)) if _case(s) == "mixed" else 0 for s in surfaces.types]
        costs[at] = paid + np.log(2) * np.array(letters)[surfaces.ids[at]]
    return costs


_CASES = ("lower", "title", "upper", "mixed")


def _case_rows(alignment: Alignment) -> tuple[IndexArray, Rows]:
    """Indices of the cased targets, and for each: token before ("line" for none), token, case."""
    cases = alignment.surfaces.map(_case)
    at = np.flatnonzero(np.array([bool(case) for case in cases.types], np.bool_)[cases.ids])
    before = alignment.tokens.map(lambda token: "line" if token == EOS else token).after("line")
    return at, (before[at], alignment.tokens[at], cases[at])


def _case(surface: str) -> str:
    """One of `_CASES`; empty for a string without cased letters."""
    if not _has_case(surface):
        return ""
    forms = (surface.lower(), surface[:1].upper() + surface[1:].lower(), surface.upper())
    return _CASES[forms.index(surface)] if surface in forms else "mixed"


def _has_case(text: str) -> bool:
    return text.lower() != text.upper()


def _conditional_costs(train: Rows, test: Rows) -> tuple[FloatArray, BoolArray]:
    """-log p of the last entry of each row given the others, (n,), and whether that entry was
    unseen.

    Rows are the sequences of a Witten-Bell n-gram model, of which only the last prediction is used.
    """
    n, width = len(test[0]), len(test)
    counts: Counter[str] = Counter()
    for column in train:
        counts.update(dict(zip(column.types, column.counts().tolist(), strict=True)))
    vocabulary = Vocabulary.from_counts(+counts)
    if not len(train[0]):
        return np.full(n, np.log(len(vocabulary))), np.ones(n, np.bool_)
    model = NGramModel(order=width, smoothing="witten_bell").fit(_row_corpus(train, vocabulary))
    corpus = _row_corpus(test, vocabulary)
    scores = model.score_corpus(corpus).reshape(n, width + 1)[:, width - 1]
    last = corpus.targets.reshape(n, width + 1)[:, width - 1]
    return -scores, last == Vocabulary.unk_id


def _row_corpus(rows: Rows, vocabulary: Vocabulary) -> Corpus:
    n, width = len(rows[0]), len(rows)
    ids = np.full((n, width + 2), vocabulary.bos_id, np.int32)
    for i, column in enumerate(rows, 1):
        ids[:, i] = vocabulary.encode(column.types)[column.ids]
    ids[:, -1] = vocabulary.id(EOS)
    return Corpus.of(Sequences.rows(ids), Reading(WhitespaceTokenizer(), vocabulary))
