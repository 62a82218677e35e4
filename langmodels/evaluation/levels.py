"""One split text, encoded at every level of a comparison."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.errors import LangmodelsError
from langmodels.evaluation.breakdown import Grouping, groupings
from langmodels.evaluation.characters import (
    TextCosts,
    check_same_text,
    resampled,
    text_costs,
    token_costs,
)
from langmodels.models.model import Model
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.splits import Splits
from langmodels.text.streams import TextStream
from langmodels.text.tokenization import Tokenizer


def least_count(tokenizer: Tokenizer, asked: int | None) -> int:
    """The `min_count` of a tokenizer: `asked` applies only to levels with rare types."""
    return tokenizer.min_count if asked is None or not tokenizer.rare_types else asked


@dataclass(frozen=True, eq=False)
class LevelMaterial:
    """The split text at one level, with the extra costs of its test targets.

    `read_by` is the finished model whose reading this is; empty for one made from the text.
    """

    level: str
    splits: Splits
    costs: TextCosts
    read_by: str = ""

    @cached_property
    def edges(self) -> FloatArray:
        """The edges of the resampled units of the test text; see `characters.resampled`."""
        return resampled(self.costs.length, self.costs.per, self.splits.test)[0]

    @cached_property
    def resampled(self) -> str:
        """The name of these units: "documents" or "blocks"."""
        return resampled(self.costs.length, self.costs.per, self.splits.test)[1]

    @cached_property
    def groupings(self) -> list[Grouping]:
        """The groupings of the test targets."""
        return groupings(self.splits)

    @cached_property
    def digest(self) -> str:
        """A hash of all that figures depend on: the ids of all parts, the vocabulary, and the
        spelling of unknown tokens, which some models read.
        """
        text = hashlib.sha256()
        for corpus in (self.splits.train, self.splits.validation, self.splits.test):
            text.update(np.ascontiguousarray(corpus.ids).data)
            text.update(np.ascontiguousarray(corpus.offsets).data)
            text.update("\0".join(corpus.unknown or ()).encode("utf-8", "surrogatepass"))
            text.update(bytes([corpus.carry]))
            if corpus.carry and corpus.documents is not None:
                text.update(corpus.documents.tobytes())
        text.update(repr(self.splits.train.tokenizer).encode())
        text.update("\0".join(self.splits.train.vocabulary.tokens).encode("utf-8", "replace"))
        return text.hexdigest()


class Material:
    """The parts of a text at any level, split at the same characters for all.

    `splits` serve for their own level; for other levels their text is encoded again, with
    `min_count` and `max_size` if the level has rare types.
    """

    def __init__(
        self, splits: Splits, *, min_count: int | None = None, max_size: int | None = None
    ) -> None:
        self.splits = splits
        self._min_count = min_count
        self._max_size = max_size
        self._levels: dict[str, LevelMaterial] = {}

    @property
    def level(self) -> str:
        """The level of the given splits."""
        return self.splits.train.tokenizer.level

    def at(self, level: str) -> LevelMaterial:
        """The text at a level, encoded on first use.

        Raises LangmodelsError for another level than that of the splits if they did not keep their
        text, or if tokens cannot be located in it.
        """
        if level not in self._levels:
            if level != self.level:
                splits = self._carried(self._encode(level))
                costs = text_costs(splits)
            else:
                splits = self.splits
                try:
                    costs = text_costs(splits)
                except LangmodelsError:
                    costs = token_costs(splits)
            self._levels[level] = LevelMaterial(level, splits, costs)
        if len({m.costs.per for m in self._levels.values()}) > 1:
            raise LangmodelsError(
                f"The tokens of level {self.level} cannot be found in the text, so its models do "
                "not compare with those of other levels; compare them by themselves."
            )
        check_same_text(m.costs.length for m in self._levels.values() if m.costs.per == "char")
        return self._levels[level]

    def read_by(self, model: Model, label: str, levels: Sequence[str]) -> str:
        """The level name under which `at` returns the text as a finished model reads it.

        It is one of `levels` if the model reads like those trained there, else a new name. Raises
        LangmodelsError, with the reason, if the reading allows no comparison.
        """
        reading, own = model.reading, self.splits.train.reading
        level = reading.tokenizer.level
        if reading.cleaning not in ("none", own.cleaning):
            raise LangmodelsError(
                f"{label} was trained on text cleaned by {reading.cleaning!r}, and this text is "
                f"not cleaned so: clean it for all models (--clean {reading.cleaning})."
            )
        names = [
            name for name in dict.fromkeys([*levels, *self._levels]) if name == level or "(" in name
        ]
        for name in names:
            if self.at(name).splits.train.reading == reading:
                return name
        name = level if level not in levels and level not in self._levels else f"{level} ({label})"
        train, validation, test = (
            Corpus.from_text(
                text,
                reading.tokenizer,
                vocabulary=reading.vocabulary,
                name=part.name,
                keep_text=True,
            )
            for text, part in zip(self._texts(), self._parts(), strict=True)
        )
        splits = self._carried(Splits(train, validation, test, self.splits.how))
        self._levels[name] = LevelMaterial(name, splits, text_costs(splits), label)
        self.at(name)
        return name

    def _carried(self, splits: Splits) -> Splits:
        return splits.carried() if self.splits.test.carry else splits

    def _parts(self) -> tuple[Corpus, Corpus, Corpus]:
        return self.splits.train, self.splits.validation, self.splits.test

    def _texts(self) -> tuple[TextStream, TextStream, TextStream]:
        first, second, third = (part.stream() for part in self._parts())
        return first, second, third

    def _encode(self, level: str) -> Splits:
        tokenizer = make_tokenizer(level)
        return Splits.from_parts(
            self._texts(),
            tokenizer,
            how=self.splits.how,
            name=self.splits.train.name.removesuffix(" (training part)"),
            min_count=least_count(tokenizer, self._min_count),
            max_size=self._max_size if tokenizer.rare_types else None,
        )
