"""Estimation within an amount of memory: the entry point, its work folder and its checks."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from langmodels.errors import LangmodelsError
from langmodels.execution import Jobs
from langmodels.formatting import size
from langmodels.memory import memory_used
from langmodels.models.base import LanguageModel
from langmodels.ngram.model import NGramModel
from langmodels.ngram.partitions.fitting import check_in_parts, fit_on_disk, is_whole
from langmodels.progress import say
from langmodels.storage import LOCK, work_folder
from langmodels.text.stored_text import StoredText

_RESERVE = 64 << 20
"""Bytes for buffers of reading and writing."""
_A_WORD = 64
"""Bytes per word of the vocabulary in all arrays of length V together."""
_LEAST = 1 << 16
"""The smallest capacity of a partition in tokens: with less, most time would go into files."""


@contextmanager
def fitted_within(
    model: LanguageModel[Any] | Callable[[int], LanguageModel[Any]],
    read: Callable[[Path], StoredText],
    *,
    memory: int,
    folder: Path,
    key: str | None = None,
    jobs: Jobs = 1,
) -> Iterator[tuple[NGramModel, StoredText]]:
    """Fit a model to a text in about `memory` bytes; yields the model, to be saved inside the
    `with` block, and the text.

    Args:
        model: an n-gram model that passes `check_in_parts`, or a function that makes one, given the
            number of tokens of the text.
        read: a function that reads the text into files of a folder, as `StoredText.read` does.
        memory: bytes that each process may use in all.
        folder: where to make the work folder, which is removed in the end, even after Ctrl-C.
        key: a name for text and settings: a run resumes what a killed run with the same key has
            left. None: nothing is resumed.
        jobs: number of processes, or an executor such as a Dask cluster's, for the partitions; all
            workers must see the folder under its path.

    Raises LangmodelsError for too little memory or disk, UsageError for models of other kinds.
    """
    if isinstance(model, LanguageModel):
        check_in_parts(model)
    with work_folder(folder, key) as work:
        try:
            text = _left_over(work)
            if text is not None:
                say(f"Going on with what is finished in {work}.")
                try:
                    ngrams = _fit(model, text, work, memory, jobs)
                except (FileNotFoundError, ArithmeticError, LookupError, TypeError, ValueError):
                    # A file is missing, or its header does not fit its arrays.
                    _empty(work)
                    text = None
            if text is None:
                text = read(work)
                ngrams = _fit(model, text, work, memory, jobs)
        except OSError as error:
            raise LangmodelsError(
                f"Cannot work in {work}: {error.strerror or error}; name another folder by --work."
            ) from error
        yield ngrams, text


def _fit(
    model: LanguageModel[Any] | Callable[[int], LanguageModel[Any]],
    text: StoredText,
    work: Path,
    memory: int,
    jobs: Jobs,
) -> NGramModel:
    ngrams = check_in_parts(model if isinstance(model, LanguageModel) else model(text.n_tokens))
    capacity = _capacity(memory, ngrams.order, len(text.counts))
    _check_space(work, len(text.ids), ngrams.order)
    return fit_on_disk(ngrams, text, work, capacity, jobs)


def _left_over(work: Path) -> StoredText | None:
    """The text that an earlier run has stored, if it is complete; None after emptying the folder.

    Results of later stages are kept if they are complete, too.
    """
    with suppress(LangmodelsError):
        text = StoredText.open(work)
        if text is not None and is_whole(work):
            return text
    _empty(work)
    return None


def _empty(work: Path) -> None:
    kept = [path for path in work.iterdir() if path.name != LOCK]
    if kept:
        say(f"What an earlier run left in {work} is not whole; beginning again.")
    for path in kept:
        path.unlink()


def window_bytes(order: int) -> int:
    """Bytes per token of a partition while its n-grams are counted and smoothed."""
    return 48 + 20 * order


def _capacity(memory: int, order: int, vocabulary_size: int) -> int:
    """The number of tokens that a partition may have within `memory` bytes."""
    taken = memory_used() + _RESERVE + _A_WORD * vocabulary_size
    capacity = (memory - taken) // window_bytes(order)
    if capacity < _LEAST:
        raise LangmodelsError(
            f"{size(memory)} of memory are too little: the program, the vocabulary and what is "
            f"being read take {size(taken)}; give {size(taken + 4 * _LEAST * window_bytes(order))} "
            "or more."
        )
    return capacity


def _check_space(work: Path, tokens: int, order: int) -> None:
    """Report how much disk is needed. Raises LangmodelsError if less is free."""
    least = 4 * tokens * (1 + order)
    most = least + 40 * tokens * (order - 1)
    free = shutil.disk_usage(work).free
    if free < least:
        raise LangmodelsError(
            f"The work in {work} needs at least {size(least)} of disk, and {size(free)} are free; "
            "name a folder on a larger disk with --work."
        )
    say(
        f"Work in {work}: {size(least)} of disk for the text, and {size(most)} in all if hardly "
        f"any n-gram comes twice; {size(free)} are free."
    )
