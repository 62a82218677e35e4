"""The interface of generators: parameters, a seed, a text, and its true probabilities."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from langmodels.arrays import FloatArray, IndexArray
from langmodels.errors import LangmodelsError, UsageError

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def parameter(default: float, low: float, high: float, meaning: str) -> Any:
    """A dataclass field for a parameter of a generator, with its range, both ends included."""
    return field(default=default, metadata={"low": low, "high": high, "meaning": meaning})


@dataclass(frozen=True)
class Generator(ABC):
    """A stochastic source of characters whose true probabilities are known.

    A subclass is a dataclass whose fields, made by :func:`parameter`, are the parameters that a
    name such as `synthetic:markov?order=2&seed=7` can set. The same parameters give the same text.
    `level` is the level of tokens that the text is made for, and `options` those of its tokenizer.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    level: ClassVar[str] = "char"
    options: ClassVar[Mapping[str, Any]] = {}

    length: int = parameter(200_000, 1, 50_000_000, "characters to generate, newlines included")
    seed: int = parameter(0, 0, 2**32 - 1, "seed of the source and of its text")

    def __post_init__(self) -> None:
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            low, high = entry.metadata["low"], entry.metadata["high"]
            if not low <= value <= high:  # catches nan, too
                raise UsageError(
                    f"synthetic:{self.kind} needs {entry.name} from {low} to {high} "
                    f"({entry.metadata['meaning']}), not {value}."
                )

    @abstractmethod
    def generate(self) -> str:
        """Return the text: `length` characters, or nearly so where only whole lines make sense."""

    @abstractmethod
    def log_probs(self, text: str) -> FloatArray:
        """Return the log probability, in nats, of each character given all before it, (len(text),).

        The text begins where the source begins. An impossible character has -inf, and the values of
        the rest of its line are meaningless. Raises LangmodelsError for a character outside the
        source's alphabet.
        """

    @property
    @abstractmethod
    def entropy_bits(self) -> float:
        """The entropy rate in bits per character, or a lower bound of it; see `entropy_note`."""

    @property
    @abstractmethod
    def entropy_note(self) -> str:
        """What `entropy_bits` is, in a clause."""

    @property
    def entropy_is_bound(self) -> bool:
        """Whether `entropy_bits` is only a lower bound."""
        return False

    @property
    def name(self) -> str:
        """The name under which `find_source` finds this source, defaults left out."""
        changed = [
            f"{entry.name}={getattr(self, entry.name)}"
            for entry in dataclasses.fields(self)
            if getattr(self, entry.name) != entry.default
        ]
        return f"synthetic:{self.kind}" + ("?" + "&".join(changed) if changed else "")

    def _structure_rng(self) -> np.random.Generator:
        """The random numbers that define the source; its text is drawn from others."""
        return np.random.default_rng([self.seed, 0])

    def _text_rng(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, 1])

    def _ids(self, text: str, alphabet: str) -> IndexArray:
        """Position in `alphabet` of every character of `text`, (len(text),)."""
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        table = np.full(128, -1, np.int64)
        table[[ord(c) for c in alphabet]] = np.arange(len(alphabet))
        ids: IndexArray = np.where(codes < 128, table[np.minimum(codes, 127)], -1)
        foreign = np.flatnonzero(ids < 0)
        if len(foreign):
            raise LangmodelsError(
                f"{self.name} never makes {text[int(foreign[0])]!r}, so it cannot score this text."
            )
        return ids


def spell(ids: IndexArray, alphabet: str) -> str:
    """The text whose characters are `alphabet[ids]` (ASCII)."""
    return np.frombuffer(alphabet.encode("ascii"), np.uint8)[ids].tobytes().decode("ascii")


def whole_lines(text: str) -> str:
    """A text without its unfinished last line, unless that is all of it."""
    return text[: text.rfind("\n") + 1] or text


def entropy_of(distributions: FloatArray) -> FloatArray:
    """Entropy in bits of each distribution along the last axis."""
    p = np.where(distributions > 0, distributions, 1.0)
    entropy: FloatArray = -(p * np.log2(p)).sum(axis=-1)
    return entropy


def binary_entropy(p: float) -> float:
    """Entropy in bits of a coin that falls heads with probability p."""
    return 0.0 if p in (0, 1) else -p * math.log2(p) - (1 - p) * math.log2(1 - p)
