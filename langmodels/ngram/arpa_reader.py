"""The parser of ARPA files: blocks of lines in, tables out."""

import re
import warnings
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from langmodels.arrays import FloatArray, IntArray
from langmodels.errors import FileWarning, LangmodelsError
from langmodels.ngram.arpa_lines import Block, Entries, Lines, shown
from langmodels.ngram.arpa_source import NOTE, ByteSource
from langmodels.ngram.building import RepeatedNGramError, tables_from_ngrams
from langmodels.ngram.tables import MAX_ORDER, Float32Array, NGramTables
from langmodels.progress import Meter, track
from langmodels.storage import read_json
from langmodels.text.byte_fields import WordIndex, decimals
from langmodels.text.cleaning import clean
from langmodels.text.levels import restore_tokenizer
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import BOS, EOS, UNK, Vocabulary
from langmodels.threads import cpu_count, parallel_map

ZERO = -99.0
"""Written for log10 of zero; in files of other tools it means 10^-99, as in KenLM."""
MISSING_UNK = -100.0
"""Log10 p given to `<unk>` where the file has none; KenLM's choice."""

_LOG10 = np.log(10.0)
_LEAST = ZERO * 10
"""Log10 p at and below this is zero in files of any tool, -inf among them."""
_LARGEST = 38.0
"""The largest log10 back-off weight accepted: beyond, float32 overflows."""
_SECTION = re.compile(rb"\\(\d{1,9})-grams:\Z")
_COUNT = re.compile(rb"ngram[\t ]+(\d{1,9})[\t ]*=[\t ]*(\d{1,18})\Z")


_Columns = tuple[IntArray, Float32Array, Float32Array]
"""Words (n, k), log p and back-off weights (n,), both in nats."""


@dataclass
class _Section:
    """The n-grams of one order, collected block by block."""

    order: int
    rows: list[IntArray] = field(default_factory=list)
    log_prob: list[Float32Array] = field(default_factory=list)
    backoff: list[Float32Array] = field(default_factory=list)

    def add(self, columns: _Columns) -> None:
        """Append the n-grams of a block."""
        self.rows.append(columns[0])
        self.log_prob.append(columns[1])
        self.backoff.append(columns[2])

    @property
    def size(self) -> int:
        """How many n-grams there are."""
        return sum(map(len, self.rows))

    def gathered(self) -> _Columns:
        """All blocks concatenated."""
        if not self.rows:
            nothing = np.empty(0, np.float32)
            return np.empty((0, self.order), np.int32), nothing, nothing
        return (
            np.concatenate(self.rows),
            np.concatenate(self.log_prob),
            np.concatenate(self.backoff),
        )

    def clear(self) -> None:
        """Release the memory of the blocks."""
        self.rows, self.log_prob, self.backoff = [], [], []


class ArpaReader:
    """Reads one file; see `arpa.read_arpa`."""

    def __init__(self, file: ByteSource, name: str, tokenizer: Tokenizer | None) -> None:
        self._lines = Lines(file, name)
        self._name = name
        self.tokenizer = tokenizer
        self.cleaning = "none"
        self._escaped: bool | None = None  # whether tokens have escapes, if noted
        self._zeros = False  # whether ZERO means zero, if noted
        # (first line, number of lines) by block of back-off weights at the highest order, which are
        # meaningless
        self._ignored: list[tuple[int, int]] = []
        self._ids: dict[bytes, int] = {}  # word to its rank among the unigrams
        self._index = WordIndex({})

    def read(self) -> tuple[Vocabulary, NGramTables]:
        sizes, mark = self._header()
        sections = []
        with track("Reading ARPA", total=sum(sizes)) as meter:
            for order, size in enumerate(sizes, start=1):
                found = _SECTION.match(mark)
                if not found or int(found[1]) != order:
                    raise self._lines.error(
                        f"\\{order}-grams: should stand here, not {shown(mark)}"
                    )
                start = self._lines.number
                section = self._section(order, order == len(sizes), meter)
                mark = self._lines.next()
                if section.size != size:
                    raise self._lines.error(
                        f"the file has {section.size} {order}-grams here (from line {start + 1} "
                        f"on), but the header says {size}"
                    )
                sections.append(section)
        if mark.lower() != b"\\end\\":
            raise self._lines.error(f"\\end\\ should stand here, not {shown(mark)}")
        if self._ignored:
            line, number = min(self._ignored)[0], sum(n for _, n in self._ignored)
            warnings.warn(
                f"{self._name} has back-off weights at {number:,} n-grams of the highest order, "
                f"where they mean nothing (line {line} first); they are left out.",
                FileWarning,
                stacklevel=2,
            )
        return self._tables(sections)

    def _section(self, order: int, last: bool, meter: Meter) -> _Section:
        """The n-grams of an order; as many blocks are parsed in parallel as there are cores."""
        section = _Section(order)
        blocks = self._lines.blocks()
        while some := list(islice(blocks, cpu_count())):
            if order == 1:
                for block in some:
                    self._learn(block)
                self._index = WordIndex(self._ids)
            for columns in parallel_map(lambda b: self._parse(b, order, last), some):
                section.add(columns)
                meter.advance(len(columns[0]))
        return section

    def _tables(self, sections: list[_Section]) -> tuple[Vocabulary, NGramTables]:
        """Renumber words so that the special tokens have their ids, and build the tables."""
        tokens = self._decoded()
        # Words between white space have no escapes: there a `<0x0A>` is a word.
        if self._escaped is None:
            levels = (None, "whitespace")
            self._escaped = getattr(self.tokenizer, "level", None) not in levels
        if self._escaped:
            tokens = [unescaped(t) for t in tokens]
        ids = {t: i for i, t in enumerate(tokens)}
        unk = ids.get(UNK, ids.get("<UNK>"))
        ends = EOS in ids
        if self.tokenizer is not None and self.tokenizer.ends != ends:
            ends = self._without_ends(sections, ids)
        specials = {unk, ids.get(BOS), ids.get(EOS)}
        vocabulary = Vocabulary((t for i, t in enumerate(tokens) if i not in specials), ends=ends)
        new = vocabulary.encode(tokens)
        if unk is not None:
            new[unk] = Vocabulary.unk_id
        if BOS in ids:
            new[ids[BOS]] = Vocabulary.bos_id
        if EOS in ids:  # -1: its n-grams are dropped
            new[ids[EOS]] = -1 if vocabulary.eos_id is None else vocabulary.eos_id
        size = len(vocabulary)
        rows, log_probs, backoffs = [], [], []
        while sections:
            section = sections.pop(0)
            words, log_prob, backoff = section.gathered()
            section.clear()
            words = new[words]
            keep = np.ones(len(words), np.bool_)
            for i, column in enumerate(words.T):
                keep &= column >= 0
                if i > 0:
                    keep &= column != Vocabulary.bos_id
            if not keep.all():
                words, log_prob, backoff = words[keep], log_prob[keep], backoff[keep]
            if section.order == 1:
                log_prob, backoff = _by_word(words[:, 0], log_prob, backoff, size)
                if unk is None:
                    log_prob[Vocabulary.unk_id] = MISSING_UNK * _LOG10
            rows.append(words)
            log_probs.append(log_prob)
            if sections:
                backoffs.append(backoff)
            del words
        try:
            tables = tables_from_ngrams(rows, log_probs, backoffs, size)
        except RepeatedNGramError as error:
            ngram = " ".join(vocabulary.decode(error.ids))
            raise LangmodelsError(f"{self._name} has the n-gram {ngram!r} twice.") from error
        return vocabulary, tables

    def _decoded(self) -> list[str]:
        """The words as strings; bytes that are not UTF-8 become lone surrogates, so that no two
        words collide.
        """
        try:
            return [t.decode() for t in self._ids]
        except UnicodeDecodeError as error:
            if not getattr(self.tokenizer, "splits_characters", False):
                warnings.warn(
                    f"{self._name} has words that are not UTF-8, {shown(error.object)} for one, "
                    "which no text will have; convert the file first, as `iconv` does.",
                    FileWarning,
                    stacklevel=2,
                )
        return [t.decode("utf-8", "surrogateescape") for t in self._ids]

    def _without_ends(self, sections: list[_Section], ids: dict[str, int]) -> bool:
        """Check that the `</s>` of the file is never predicted, so that it can be dropped; returns
        False.

        Raises LangmodelsError where it is predicted, and where a tokenizer with ends finds none.
        """
        level = "" if self.tokenizer is None else self.tokenizer.level
        if EOS not in ids:
            raise LangmodelsError(f"{self._name} has no {EOS}, but level {level} has line ends.")
        for section in sections:
            for rows, log_prob in zip(section.rows, section.log_prob, strict=True):
                if (log_prob[rows[:, -1] == ids[EOS]] > (ZERO + 1) * _LOG10).any():
                    raise LangmodelsError(
                        f"{self._name} predicts {EOS}, but level {level} has no line ends; "
                        "read it as whitespace."
                    )
        return False

    def _header(self) -> tuple[list[int], bytes]:
        """The number of n-grams of each order, and the line after these."""
        for i, line in enumerate(self._lines.before_data(), start=1):
            if line.startswith(NOTE):
                self._read_note(line.removeprefix(NOTE), i)
        sizes: list[int] = []
        while (line := self._lines.next()).startswith(b"ngram"):
            count = _COUNT.match(line)
            if not count:
                raise self._lines.error(
                    f"a count such as 'ngram 1=4' should stand here, not {shown(line)}"
                )
            if int(count[1]) != len(sizes) + 1:
                raise self._lines.error(f"the count of {len(sizes) + 1}-grams should stand here")
            if len(sizes) == MAX_ORDER:
                raise self._lines.error(f"an n-gram model's order is at most {MAX_ORDER}")
            sizes.append(int(count[2]))
        if not sizes:
            raise self._lines.error(f"'ngram 1=...' should stand here, not {shown(line)}")
        return sizes, line

    def _read_note(self, note: bytes, line: int) -> None:
        """Take tokenizer, cleaning and escapes from the comment of `write_arpa`; a tokenizer given
        by the caller wins.
        """
        try:
            settings = read_json(note)
        except ValueError:
            return  # a comment of another tool
        if not isinstance(settings, dict) or "level" not in settings:
            return
        self._zeros = settings.pop("zeros", False) is True
        if self.tokenizer is not None:
            return
        try:
            cleaning = settings.pop("cleaning", "none")
            clean((), str(cleaning))  # raises for an unknown name
            escaped = settings.pop("escaped", None)
            tokenizer = restore_tokenizer(settings)
        except (ValueError, TypeError) as error:
            why = str(error).rstrip(".")
            raise self._lines.error(
                f"the note of how its text was cut is no good: {why}", line
            ) from error
        self.tokenizer, self.cleaning = tokenizer, str(cleaning)
        self._escaped = None if escaped is None else bool(escaped)

    # Entries

    def _learn(self, block: Block) -> None:
        """Number the words of a block of unigrams."""
        entries = Entries(block)
        whole = entries.select(entries.counts > 1)
        for i, word in enumerate(whole.fields(1)):
            new = len(self._ids)
            if self._ids.setdefault(word, new) != new:
                raise self._lines.error(
                    f"the word {shown(word)} comes a second time", whole.line(i)
                )

    def _parse(self, block: Block, order: int, last: bool) -> _Columns:
        """The columns of a block of lines."""
        entries = Entries(block)
        wrong = (entries.counts < order + 1) | (entries.counts > order + 2)
        if wrong.any():
            first = int(wrong.argmax())
            raise self._lines.error(
                f"a {order}-gram is a log probability, {order} word{'s' * (order > 1)} and maybe a "
                f"back-off weight, but the line has {entries.counts[first]} fields",
                entries.line(first),
            )
        rows = np.stack([self._words(entries, i) for i in range(1, order + 1)], axis=1)
        log_prob = self._numbers(entries, 0, "log probability")
        # Rounding may leave log p slightly above 0; that of <s> is ignored, since it is never
        # predicted.
        bad = log_prob > 1e-4
        bad &= rows[:, -1] != self._ids.get(BOS.encode(), -1)
        if bad.any():
            first = int(bad.argmax())
            raise self._lines.error(
                f"the log probability {log_prob[first]:g} is above 0",
                entries.line(first),
            )
        backoff = np.zeros(len(rows))
        weighted = np.flatnonzero(entries.counts == order + 2)
        if len(weighted):
            some = entries.select(weighted)
            weights = self._numbers(some, order + 1, "back-off weight")
            large = np.flatnonzero(weights > _LARGEST)
            if len(large):
                raise self._lines.error(
                    f"the back-off weight {weights[large[0]]:g} lifts probabilities above 1",
                    some.line(int(large[0])),
                )
            if not last:
                backoff[weighted] = weights
            elif weights.any():
                some = some.select(weights != 0)
                self._ignored.append((some.line(0), len(some.counts)))
        return (
            rows,
            (np.minimum(log_prob, 0.0) * _LOG10).astype(np.float32),
            (backoff * _LOG10).astype(np.float32),
        )

    def _words(self, entries: Entries, column: int) -> IntArray:
        """The ids of a column of words, (n,)."""
        words = entries.fields(column)
        ids = self._index.find(words)
        if len(ids) and ids.min() < 0:
            first = int(ids.argmin())
            raise self._lines.error(
                f"the word {shown(words[first])} is not among the 1-grams",
                entries.line(first),
            )
        return ids

    def _numbers(self, entries: Entries, column: int, what: str) -> FloatArray:
        """A column of numbers, (n,), finite or -inf."""
        texts = entries.fields(column)
        values = decimals(texts)
        for i in np.flatnonzero(np.isnan(values)).tolist():
            values[i] = _float_or_nan(texts[i])
        bad = ~(values < np.inf)
        if bad.any():
            first = int(bad.argmax())
            raise self._lines.error(
                f"the {what} {shown(texts[first])} is not a number",
                entries.line(first),
            )
        values[values <= (ZERO if self._zeros else _LEAST)] = -np.inf
        return values


def _by_word(
    words: IntArray, log_prob: Float32Array, backoff: Float32Array, size: int
) -> tuple[Float32Array, Float32Array]:
    """Log p and back-off weights of unigrams by word id, (V,); probability zero for words that the
    file lacks.
    """
    p = np.full(size, ZERO * _LOG10, np.float32)
    weights = np.zeros(size, np.float32)
    p[words], weights[words] = log_prob, backoff
    p[Vocabulary.bos_id] = -np.inf
    return p, weights


def _float_or_nan(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


_NEEDS_ESCAPE = re.compile(r"[\x00\t\n\v\f\r ]|<(?=0x[0-9A-F]{2}>)")
_SPACE = re.compile(r"[\x00\t\n\r ]")
_ESCAPED = re.compile(r"<0x([0-9A-F]{2})>")


def has_space(token: str) -> bool:
    """Whether a reader would split a token, since it contains white space."""
    return _SPACE.search(token) is not None


def escaped(token: str) -> str:
    """A token with each ASCII white-space character replaced by its hexadecimal code, `<0x20>`."""
    return _NEEDS_ESCAPE.sub(lambda m: f"<0x{ord(m[0]):02X}>", token)


def unescaped(token: str) -> str:
    """Inverse of `escaped`."""
    return _ESCAPED.sub(lambda m: chr(int(m[1], 16)), token)
