"""A quantized trie in KenLM's binary format, written to be read: hashes of words are left out."""

import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from langmodels.ngram.kenlm import binary
from langmodels.ngram.tables import NGramTables
from langmodels.ngram.trie import ngram_words
from langmodels.text.vocabulary import Vocabulary

_LOG10 = np.log(10)
BITS = 8


def rounded(tables: NGramTables) -> NGramTables:
    """Tables with so few different numbers that eight bits hold them: steps of 1/32 in log10."""

    def few(values: Any) -> Any:
        return (np.round(values / _LOG10 * 32) / 32 * _LOG10).astype(np.float32)

    return NGramTables(
        tables.words,
        tables.child_start,
        [few(p) for p in tables.log_prob],
        [few(b) for b in tables.backoff],
    )


def write_quantized_trie(path: Path, tables: NGramTables, vocabulary: Vocabulary) -> None:
    """Write `rounded` tables; see `langmodels.ngram.kenlm.trie` for the layout."""
    sizes, order = tables.sizes, tables.order
    parameters = binary._PARAMETERS.pack(order, 1.5, binary.QUANTIZED, 1, 1)
    head = binary._WHOLE.ljust(56, b"\0") + binary._SANITY + parameters
    head += struct.pack(f"<{order}Q", *sizes)
    parts = [head, bytes(-len(head) % 8 + 8 + 8 * sizes[0])]
    parts.append(struct.pack("<BBB5x", 2, BITS, BITS))

    # An n-gram stands below that without its first word: rows are read from the last word on.
    rows = [ngram_words(tables, k, slice(None))[:, ::-1] for k in range(1, order + 1)]
    places = [np.lexsort(row.T[::-1]) for row in rows]
    rows = [row[place] for row, place in zip(rows, places, strict=True)]
    log_p = [p[place] / _LOG10 for p, place in zip(tables.log_prob, places, strict=True)]
    weights = [b[place] / _LOG10 for b, place in zip(tables.backoff, places, strict=False)]
    pointers = []
    for shorter, longer in pairwise(rows):
        number = {tuple(row): i for i, row in enumerate(shorter.tolist())}
        parents = [number[tuple(row[:-1])] for row in longer.tolist()]
        pointers.append(np.searchsorted(parents, np.arange(len(shorter) + 1)))
    codes = []
    for k in range(2, order + 1):
        for values in (log_p[k - 1], *([weights[k - 1]] if k < order else [])):
            table, code = np.unique(values.astype(np.float32), return_inverse=True)
            assert len(table) <= 1 << BITS
            codes.append(code)
            parts.append(
                np.pad(table, (0, (1 << BITS) - len(table)), "edge").astype("<f4").tobytes()
            )
    unigrams = np.zeros(sizes[0] + 2, [("log_p", "<f4"), ("weight", "<f4"), ("child", "<u8")])
    unigrams["log_p"][:-2] = np.where(np.isfinite(log_p[0]), log_p[0], 0)
    unigrams["weight"][:-2] = weights[0]
    unigrams["child"][:-1] = pointers[0]
    parts.append(unigrams.tobytes())
    word_bits = sizes[0].bit_length()
    for k in range(2, order + 1):
        fields = [(rows[k - 1][:, -1], word_bits)]
        p_code = codes.pop(0)
        if k < order:
            fields += [(codes.pop(0), BITS), (p_code, BITS)]
            fields.append((pointers[k - 1], sizes[k].bit_length()))
        else:
            fields.append((p_code, BITS))
        parts.append(_packed(fields, sizes[k - 1]))
    parts.append("".join(f"{token}\0" for token in vocabulary.tokens).encode())
    path.write_bytes(b"".join(parts))


def _packed(fields: list[tuple[Any, int]], n: int) -> bytes:
    """Entries of some bits each, the first field in the lowest; one more has the last pointer."""
    width = sum(bits for _, bits in fields)
    text = []
    for i in range(n + 1):
        entry = [(int(values[i]) if i < len(values) else 0, bits) for values, bits in fields]
        text.append("".join(f"{value:0{bits}b}" for value, bits in reversed(entry)))
    size = ((n + 1) * width + 7) // 8 + 8
    return int("".join(reversed(text)), 2).to_bytes(size, "little")
