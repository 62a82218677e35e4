"""Estimation within an amount of memory: the work folder, the space it takes, what is refused."""

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
"""Bytes for what is read and written in pieces."""
_A_WORD = 64
"""Bytes for each word of the vocabulary, in arrays that have one number or a few for each."""
_LEAST = 1 << 16
"""Tokens of a partition: with fewer, most of the time would go into files."""


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
    """A model fitted to a text in about `memory` bytes, to be saved inside the `with` block.

    Args:
        model: an n-gram model; see `check_in_parts`. Or what makes one for a text of so many
            tokens.
        read: reads the text into files of a folder, by `StoredText.read`.
        memory: bytes that each process may take, its own and those of the vocabulary among them.
        folder: where a work folder is made, which is removed in the end, after Ctrl-C too.
        key: a name for text and settings. What a run that was killed has finished is taken over by
            the next one with the same key; None: by none.
        jobs: processes, or an executor such as a Dask cluster's, that share the partitions; all of
            them must find the folder under its path.

    Raises LangmodelsError where memory or disk are too small, UsageError for other models.
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
                    # A file is not there, or its header is not that of its arrays.
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
    """The text that an earlier run has read, whose further stages stand beside it if they are
    whole; without one the folder is empty.
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
    """Memory that a token of a partition takes while its n-grams are counted and estimated."""
    return 48 + 20 * order


def _capacity(memory: int, order: int, vocabulary_size: int) -> int:
    """How many tokens a partition may have."""
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
    """Say how much disk is needed. Raises LangmodelsError where there is less."""
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
