"""Bits per character of the raw text: what makes models with different units comparable.

A model of words says nothing of what tokenizing threw away. For its figure to be one of the same
text that a character model predicts, the rest is paid for here: the spelling of unknown words, the
white space between tokens, the capitals where a tokenizer folds case, and the decimals of numbers
in bins. All but the last are predicted by a small n-gram model fitted on the training text, so that
tokens and extras together are a lossless code of the text, and the sum is -log of a probability of
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
"""What an unseen character is chosen from, uniformly; unseen bytes are chosen from 256."""


Rows = tuple[Strings, ...]
"""Columns of equal length: the last one to be predicted from the others, the farthest first."""


@dataclass(frozen=True)
class TextCosts:
    """What the targets of a test corpus cost beyond a model's own -log p.

    `ends` (n,): characters of raw text up to and with each target, of `length` in all. `extra`
    (n,): nats. `parts`: the nats of `extra` in all, by reason. `per`: "char", or "token" where
    tokens cannot be found in the text, and are counted instead of characters.
    """

    ends: IndexArray
    extra: FloatArray
    length: int
    parts: dict[str, float] = field(default_factory=dict)
    per: str = "char"


def token_costs(splits: Splits) -> TextCosts:
    """For tokens that stand for no text: nothing is paid beyond them, and they are what counts."""
    n = splits.test.n_tokens
    return TextCosts(np.arange(1, n + 1), np.zeros(n), n, per="token")


def text_costs(splits: Splits) -> TextCosts:
    """The extras of the test part, by models fitted on the training part.

    Raises LangmodelsError where the splits did not keep their text or tokens cannot be found in it.
    """
    if splits.train.text is None or splits.test.text is None:
        raise LangmodelsError("Bits per character need the text; make the corpora with keep_text.")
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
        raise LangmodelsError(
            "Bits per character cannot be had: the tokens of the test text are not those of its "
            "corpus."
        )
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
    """Raise LangmodelsError where readings of a text have other characters of it to pay for."""
    if len(set(lengths)) > 1:
        raise LangmodelsError(
            f"Boundary marks ({BOS} or {EOS}) are typed in the text. Levels of words take them for "
            "boundaries, others for text, so that figures do not compare: take them out of it, or "
            "in `compare` name a level of words first."
        )


def _stream_costs(test: Corpus, train_text: str, text: str) -> TextCosts:
    """Tokens that are the whole text, one after the other: only what is unknown costs more.

    One of an alphabet is chosen from the unseen rest of it, any other is spelled.
    """
    tokenizer, vocabulary = test.tokenizer, test.vocabulary
    ends = tokenizer.token_ends(text)
    if len(ends) != test.n_tokens or ends[-1] != len(text):
        raise LangmodelsError("Bits per character need the text that the corpus was made from.")
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
    """Ends of what is resampled of a text, (B + 1,), the first one 0, and what that is.

    Whole documents where there are several, else blocks of neighbouring characters, or tokens where
    these are what counts (`per`), of which there are `length`.
    """
    starts = corpus.document_starts if per == "char" else None
    edges = None if starts is None else document_edges(starts)
    return (block_edges(length), "blocks") if edges is None else (edges, "documents")


@dataclass(frozen=True)
class _Surfaces:
    """What stands in a text for each target of a tokenizer that changes it, n in all.

    `ends` (n,): characters up to and with each; they take up the whole text. `rows`: whether it is
    the first of a line, what kind of piece it is, and how the text differs from the piece.
    """

    ends: IndexArray
    rows: Rows


def _surfaces(text: str, reading: Reading) -> _Surfaces:
    tokenizer, vocabulary = reading.tokenizer, reading.vocabulary
    tokens, ends = list(tokenizer.tokenize_lines(text)), tokenizer.token_ends(text)
    if tokenizer.ends:
        tokens, ends = [*tokens, tokenizer.line_end], np.append(ends, len(text))
    is_end = np.array([tokenizer.ends and token == tokenizer.line_end for token in tokens])
    # The end of a line goes on over the blank lines that follow; those at the beginning are the
    # first token's.
    kept = np.flatnonzero(~is_end | np.r_[False, ~is_end[:-1]])
    ends = ends[np.append(kept[1:] - 1, len(tokens) - 1)] if len(kept) else ends[:0]
    where, kinds, changes = [], [], []
    pending = b""  # of single bytes
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
    """How what stands in a text differs from what should: "same", "no blank", or what it is."""
    if surface == expected:
        return "same"
    return "no blank" if expected == f" {surface}" else f"={surface}"


def _changed_costs(test: Corpus, train_text: str, text: str) -> TextCosts:
    """Tokens of a text that was changed: what it was before is paid for, unknown pieces too."""
    train, found = _surfaces(train_text, test.reading), _surfaces(text, test.reading)
    if len(found.ends) != test.n_tokens:
        raise LangmodelsError("Bits per character need the text that the corpus was made from.")
    changes = found.rows[-1]
    paid, unseen = _conditional_costs(train.rows, found.rows)
    speller = Speller((*train.rows[-1].types, *test.vocabulary.tokens))
    paid[unseen] += speller.costs(changes[unseen])
    return TextCosts(found.ends, paid, len(text), {"changes": float(paid.sum())})


class Speller:
    """A character model of words (each word of a text once) and of its gaps: -log p of a string."""

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
        """Nats that it takes to spell each string, (n,), its end included."""
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
    """Nats for the gap of each target, (n,): p(gap | gap before, token before, token after).

    The gap before it is what tells an opening quotation mark from a closing one.
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
    """Gap before, kind of the token before, kind of the token after, gap."""
    at, gaps, kinds = alignment.with_gap, alignment.gaps, alignment.tokens.map(_kind)
    return gaps.after("line"), kinds[at - 1], kinds[at], gaps


def _kind(token: str) -> str:
    """What spacing depends on: the mark, or only that it is a word, a number, the line's end."""
    if token == EOS:
        return "end"
    if token[0].isalnum():
        return "number" if token[0].isdigit() else "word"
    return token[0]


def _capital_costs(train: Alignment, test: Alignment) -> FloatArray:
    """Nats for the case of each target, (n,): p(case | token before, token)."""
    costs = np.zeros(len(test.tokens))
    at, rows = _case_rows(test)
    if len(at):
        paid, unseen = _conditional_costs(_case_rows(train)[1], rows)
        paid[unseen] += np.log(len(_CASES))
        # Mixed case is written out, a bit for each letter that has one.
        surfaces = test.surfaces
        letters = [sum(map(_has_case, s)) if _case(s) == "mixed" else 0 for s in surfaces.types]
        costs[at] = paid + np.log(2) * np.array(letters)[surfaces.ids[at]]
    return costs


_CASES = ("lower", "title", "upper", "mixed")


def _case_rows(alignment: Alignment) -> tuple[IndexArray, Rows]:
    """The targets that have a case; token before ("line" for none), token, case of each."""
    cases = alignment.surfaces.map(_case)
    at = np.flatnonzero(np.array([bool(case) for case in cases.types], np.bool_)[cases.ids])
    before = alignment.tokens.map(lambda token: "line" if token == EOS else token).after("line")
    return at, (before[at], alignment.tokens[at], cases[at])


def _case(surface: str) -> str:
    """One of `_CASES`, empty for what has no case."""
    if not _has_case(surface):
        return ""
    forms = (surface.lower(), surface[:1].upper() + surface[1:].lower(), surface.upper())
    return _CASES[forms.index(surface)] if surface in forms else "mixed"


def _has_case(text: str) -> bool:
    return text.lower() != text.upper()


def _conditional_costs(train: Rows, test: Rows) -> tuple[FloatArray, BoolArray]:
    """-log p of the last entry of each row given the others, (n,), and whether it was never seen.

    Interpolated by Witten-Bell through the shorter contexts: the rows are sequences of an n-gram
    model, of whose predictions only that one is used.
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
