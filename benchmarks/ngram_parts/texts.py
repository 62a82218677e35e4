"""Texts for the benchmark of the n-gram engine."""

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

HELD_OUT = 200_000
"""Tokens that no model is fitted on."""


def make_text(path: Path, n_tokens: int, seed: int = 0) -> None:
    """Write sentences of made-up words whose phrases come again as those of a language do.

    Words follow Zipf's law; phrases of one to eight words, no more than fit in memory, are drawn
    once and then reused, after a law of the same kind.
    """
    rng = np.random.default_rng(seed)
    n_words = int(30 * n_tokens**0.6)
    n_phrases = min(max(10, n_tokens // 12), 4_000_000)
    lengths = rng.integers(1, 9, n_phrases)
    words = _zipf(rng, n_words, int(lengths.sum()))
    starts = np.append(0, np.cumsum(lengths))
    pieces = words.tolist()
    phrases = [" ".join(f"w{w}" for w in pieces[a:b]) for a, b in pairwise(starts.tolist())]
    with path.open("w") as file:
        written = 0
        while written < n_tokens:
            chosen = _zipf(rng, n_phrases, 200_000)
            ends = rng.random(len(chosen)) < 0.25
            tokens = np.cumsum(lengths[chosen])
            n = min(len(chosen), int(np.searchsorted(tokens, n_tokens - written)) + 1)
            marks = np.where(ends, "\n", " ").tolist()
            file.write(
                "".join(phrases[i] + m for i, m in zip(chosen[:n].tolist(), marks, strict=False))
            )
            written += int(tokens[n - 1])
        file.write("\n")


def _zipf(rng: np.random.Generator, n: int, size: int) -> Any:
    """Ranks 0 to n-1 with probability about 1 / (rank + 3)."""
    low, high = np.log(3), np.log(n + 3)
    return np.minimum(np.exp(low + rng.random(size) * (high - low)) - 3, n - 1).astype(np.int64)


def cut_text(source: Path, train: Path, held_out: Path, n_tokens: int) -> int:
    """Hold out the beginning, train on at most `n_tokens` after it; returns how many there were."""
    with source.open(errors="replace") as lines:
        _copy(lines, held_out, HELD_OUT)
        return _copy(lines, train, n_tokens)


def cut_end(source: Path, train: Path, held_out: Path, n_tokens: int) -> int:
    """Train on at most `n_tokens`, hold out all that follows; returns how many there were."""
    with source.open(errors="replace") as lines:
        n = _copy(lines, train, n_tokens)
        _copy(lines, held_out, sys.maxsize)
    return n


def _copy(lines: Iterator[str], target: Path, n_tokens: int) -> int:
    copied = 0
    with target.open("w") as file:
        for line in lines:
            file.write(line)
            copied += line.count(" ") + 1
            if copied >= n_tokens:
                break
    return copied
