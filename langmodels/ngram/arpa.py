r"""ARPA files: the text format in which back-off n-gram models are exchanged.

    \data\
    ngram 1=4
    ngram 2=2

    \1-grams:
    -0.6020600	<unk>
    ...
    \end\

A line holds log10 p, the words and, below the highest order, optionally a log10 back-off weight.
Files are read and written in blocks of many lines, column by column.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from langmodels.arrays import Array
from langmodels.errors import LangmodelsError
from langmodels.ngram.arpa_checks import check_sums
from langmodels.ngram.arpa_reader import ZERO, ArpaReader, escaped, has_space
from langmodels.ngram.arpa_source import NOTE, is_arpa_name, is_arpa_text, open_arpa
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.trie import ngram_words
from langmodels.packed import compressing
from langmodels.progress import track
from langmodels.storage import atomic_write
from langmodels.text.byte_fields import encode_tokens
from langmodels.text.reading import Reading
from langmodels.text.tokenization import Tokenizer, WhitespaceTokenizer
from langmodels.text.vocabulary import EOS, Vocabulary
from langmodels.threads import slices

__all__ = ["FOREIGN", "ArpaContents", "is_arpa_name", "is_arpa_text", "read_arpa", "write_arpa"]

FOREIGN = WhitespaceTokenizer(unicode=False)
"""The tokenizer assumed for files of other tools: words between ASCII white space."""

_LOG10 = np.log(10.0)
_WRITE = 1 << 17  # n-grams formatted at a time
# Reading -------------------------------------------------------------------------------------


class ArpaContents(NamedTuple):
    """A vocabulary and tables, and, if known, how the text of the model was tokenized and
    cleaned.
    """

    vocabulary: Vocabulary
    tables: NGramTables
    tokenizer: Tokenizer | None
    cleaning: str


def read_arpa(path: str | os.PathLike[str], tokenizer: Tokenizer | None = None) -> ArpaContents:
    """Read an ARPA file, plain or compressed.

    Accepts the variations among tools: text before the data line, carriage returns, any spacing,
    omitted back-off weights, `<UNK>`, and n-grams whose prefix or suffix was pruned. -inf is zero;
    -99 is 10^-99, as in KenLM, unless `write_arpa` has noted that it is zero. A missing `<unk>`
    gets 10^-100, as in KenLM; without `</s>` the vocabulary has no end of sequence. N-grams that
    end in `<s>` are dropped, since it is never predicted.

    `tokenizer` is that of the model's text; by default the one that `write_arpa` noted in a
    comment. With it, escaped white space inside tokens is decoded, and the vocabulary of a stream
    has no `</s>`.

    Raises LangmodelsError, with the number of the line, for a file that is not ARPA, truncated or
    inconsistent.
    """
    with open_arpa(Path(path)) as file:
        reader = ArpaReader(file, str(path), tokenizer)
        vocabulary, tables = reader.read()
    check_sums(path, vocabulary, tables)
    return ArpaContents(vocabulary, tables, reader.tokenizer, reader.cleaning)


# Writing -------------------------------------------------------------------------------------


def write_arpa(path: str | os.PathLike[str], tables: NGramTables, reading: Reading) -> None:
    """Write tables as an ARPA file; compressed where the name ends in .gz, .xz, .bz2 or .zst.

    A comment before the data, which other tools skip, records how the text was tokenized and
    cleaned and, if any probability is zero, that -99 means zero here: KenLM, and this reader
    without the comment, take it for 10^-99.

    If the vocabulary has no `</s>`, one is written with probability zero, as other tools expect it.
    If tokens contain white space, each ASCII white-space character is written as its hexadecimal
    code, `<0x20>`. The n-grams of `NGramTables.blanks` are not written.

    Raises LangmodelsError for stupid backoff, whose charge for unseen contexts the format cannot
    express, and where the file cannot be written.
    """
    if tables.unseen_backoff:
        raise LangmodelsError(
            "Stupid backoff charges for contexts that were never seen, which an ARPA file cannot "
            "say; use another smoothing method."
        )
    vocabulary = reading.vocabulary
    escapes = any(map(has_space, vocabulary.tokens))
    note = _note(reading, escapes, _has_zeros(tables))
    spelled = map(escaped, vocabulary.tokens) if escapes else vocabulary.tokens
    tokens = np.array(list(spelled), dtype=object)
    sizes = tables.sizes
    extra = "" if vocabulary.ends else f"{ZERO:g}\t{EOS}\n"
    with atomic_write(path) as raw, compressing(raw, os.fspath(path)) as out:
        if note:
            out.write(NOTE + json.dumps(note).encode() + b"\n")
        out.write(b"\\data\\\n")
        for k, size in enumerate(tables.ngram_counts, start=1):
            out.write(b"ngram %d=%d\n" % (k, size + (k == 1 and bool(extra))))
        with track("Writing ARPA", total=sum(sizes)) as meter:
            for k, size in enumerate(sizes, start=1):
                out.write(b"\n\\%d-grams:\n" % k)
                for start in range(0, size, _WRITE):
                    nodes = slice(start, min(start + _WRITE, size))
                    out.write(_lines(tables, k, nodes, tokens))
                    meter.advance(nodes.stop - start)
                if k == 1:
                    out.write(extra.encode())
        out.write(b"\n\\end\\\n")


def _has_zeros(tables: NGramTables) -> bool:
    """Whether any probability but that of `<s>`, or any back-off weight, is zero."""
    first = np.delete(tables.log_prob[0][:], Vocabulary.bos_id)
    columns = (first, *tables.log_prob[1:], *tables.backoff)
    return any(np.isneginf(a[part]).any() for a in columns for part in slices(len(a), _WRITE))


def _note(reading: Reading, escapes: bool, zeros: bool) -> dict[str, Any]:
    """The content of the comment; empty for what other tools assume: words between blanks, no
    cleaning, no zeros.
    """
    tokenizer, cleaning = reading.tokenizer, reading.cleaning
    if (tokenizer, cleaning) == (FOREIGN, "none") and not zeros:
        return {}
    note: dict[str, Any] = {"level": tokenizer.level, **tokenizer.config(), "cleaning": cleaning}
    if not escapes and any(escaped(t) != t for t in reading.vocabulary.tokens):
        # Record that tokens are not escaped: some look so, such as the bytes of subword
        # vocabularies.
        note["escaped"] = False
    if zeros:
        note["zeros"] = True
    return note


def _lines(tables: NGramTables, order: int, nodes: slice, tokens: Array) -> bytes:
    own = tables.own(order, nodes)
    words = tokens[ngram_words(tables, order, nodes)[own]]
    columns = [_log10(tables.log_prob[order - 1][nodes][own])]
    if order == 1 and nodes.start <= Vocabulary.bos_id < nodes.stop:
        columns[0][Vocabulary.bos_id - nodes.start] = 0.0  # KenLM writes the weight at every n-gram
    columns += [words[:, i].tolist() for i in range(order)]
    form = "%.7g\t" + " ".join(["%s"] * order)
    if order < tables.order:
        columns.append(_log10(tables.backoff[order - 1][nodes][own]))
        form += "\t%.7g"
    text = "".join(map(f"{form}\n".__mod__, zip(*columns, strict=True)))
    return encode_tokens(text)


def _log10(nats: Array) -> list[float]:
    # Adding 0 turns -0.0 into 0.0.
    log10: list[float] = (np.maximum(nats.astype(np.float64) / _LOG10, ZERO) + 0.0).tolist()
    return log10
