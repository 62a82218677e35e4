r"""ARPA files: the text format in which back-off n-gram models are exchanged.

    \data\
    ngram 1=4
    ngram 2=2

    \1-grams:
    -0.6020600	<unk>
    ...
    \end\

A line holds log10 p, the words, and, below the highest order, maybe a log10 back-off weight. Files
are read and written in blocks of many lines, each handled by a few calls on whole columns.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from langmodels.arrays import Array
from langmodels.errors import LangmodelsError
from langmodels.ngram.arpa_checks import check_sums
from langmodels.ngram.arpa_reader import NOTE, ZERO, ArpaReader, escaped, has_space
from langmodels.ngram.arpa_source import is_arpa_name, is_arpa_text, open_arpa
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
"""How other tools cut text into the words of their files."""

_LOG10 = np.log(10.0)
_WRITE = 1 << 17  # n-grams, as many as are looked at together
# Reading -------------------------------------------------------------------------------------


class ArpaContents(NamedTuple):
    """A vocabulary and tables, and as far as it is known how the text was cut and cleaned."""

    vocabulary: Vocabulary
    tables: NGramTables
    tokenizer: Tokenizer | None
    cleaning: str


def read_arpa(path: str | os.PathLike[str], tokenizer: Tokenizer | None = None) -> ArpaContents:
    """What is in an ARPA file, plain or compressed.

    Reads what the common tools write, and what their files suffer on the way: text before the
    data line, carriage returns, any spacing, back-off weights left out, `<UNK>`, -99 for zero
    (taken for 10^-99, as in KenLM, unless `write_arpa` has noted that it is zero; -inf is), no
    `<unk>` (it gets 10^-100, as in KenLM), no `</s>` (the vocabulary then has no ends), n-grams
    whose prefix or suffix was pruned away. N-grams that predict `<s>` are dropped: nothing does.

    With the `tokenizer` that the model was made with, which `write_arpa` notes in a comment, white
    space inside tokens is read as it is written there, and a stream's vocabulary has no `</s>`.

    Raises LangmodelsError, with the number of the line, where the file is no ARPA file, is cut
    short, or contradicts itself.
    """
    with open_arpa(Path(path)) as file:
        reader = ArpaReader(file, str(path), tokenizer)
        vocabulary, tables = reader.read()
    check_sums(path, vocabulary, tables)
    return ArpaContents(vocabulary, tables, reader.tokenizer, reader.cleaning)


# Writing -------------------------------------------------------------------------------------


def write_arpa(path: str | os.PathLike[str], tables: NGramTables, reading: Reading) -> None:
    """Write tables as an ARPA file; compressed where the name ends in .gz, .xz, .bz2 or .zst.

    How the text was cut and cleaned is noted in a comment before the data, which other tools skip,
    and that -99 is zero where anything is: to KenLM it is 10^-99, and so it is read without the
    note.

    `</s>` is written with probability zero where the vocabulary has no ends, as other tools expect
    to find it. Where tokens have blanks or line ends in them, their ASCII white space is written as
    `<0x20>`, its code in hexadecimal. What a file that was read did not have is not written either
    (`NGramTables.blanks`).

    Raises LangmodelsError where the tables charge for contexts that are not stored (stupid
    backoff), which the format cannot say, or the file cannot be written.
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
    """Whether anything but `<s>` has probability zero, or leaves nothing to what is not stored."""
    first = np.delete(tables.log_prob[0][:], Vocabulary.bos_id)
    columns = (first, *tables.log_prob[1:], *tables.backoff)
    return any(np.isneginf(a[part]).any() for a in columns for part in slices(len(a), _WRITE))


def _note(reading: Reading, escapes: bool, zeros: bool) -> dict[str, Any]:
    """How the text was cut and cleaned; empty where it was as other tools do, without zeros."""
    tokenizer, cleaning = reading.tokenizer, reading.cleaning
    if (tokenizer, cleaning) == (FOREIGN, "none") and not zeros:
        return {}
    note: dict[str, Any] = {"level": tokenizer.level, **tokenizer.config(), "cleaning": cleaning}
    if not escapes and any(escaped(t) != t for t in reading.vocabulary.tokens):
        # What looks like an escape is a token, such as the byte pieces of subword vocabularies.
        note["escaped"] = False
    if zeros:
        note["zeros"] = True
    return note


def _lines(tables: NGramTables, order: int, nodes: slice, tokens: Array) -> bytes:
    own = tables.own(order, nodes)
    words = tokens[ngram_words(tables, order, nodes)[own]]
    columns = [_log10(tables.log_prob[order - 1][nodes][own])]
    if order == 1 and nodes.start <= Vocabulary.bos_id < nodes.stop:
        columns[0][Vocabulary.bos_id - nodes.start] = 0.0  # as KenLM writes it: it is always there
    columns += [words[:, i].tolist() for i in range(order)]
    form = "%.7g\t" + " ".join(["%s"] * order)
    if order < tables.order:
        columns.append(_log10(tables.backoff[order - 1][nodes][own]))
        form += "\t%.7g"
    text = "".join(map(f"{form}\n".__mod__, zip(*columns, strict=True)))
    return encode_tokens(text)


def _log10(nats: Array) -> list[float]:
    # Adding 0 makes a plain zero of a negative one.
    log10: list[float] = (np.maximum(nats.astype(np.float64) / _LOG10, ZERO) + 0.0).tolist()
    return log10
