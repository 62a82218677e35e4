"""One text, divided once, at every level that is asked for."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from langmodels.errors import LangmodelsError
from langmodels.evaluation.breakdown import Grouping, groupings
from langmodels.evaluation.characters import TextCosts, text_costs, token_costs
from langmodels.text.splits import Splits
from langmodels.text.tokenization import Tokenizer, make_tokenizer


def least_count(tokenizer: Tokenizer, asked: int | None) -> int:
    """The least count of a known token: what was asked for words is not meant for characters."""
    return tokenizer.min_count if asked is None or not tokenizer.rare_types else asked


@dataclass(frozen=True, eq=False)
class LevelMaterial:
    """The divided text as one level's tokens, and what its test targets cost beyond a model."""

    level: str
    splits: Splits
    costs: TextCosts

    @cached_property
    def groupings(self) -> list[Grouping]:
        """The ways in which losses on the test targets are broken down."""
        return groupings(self.splits)

    @cached_property
    def digest(self) -> str:
        """A hash of all that a figure can depend on: the ids of all parts and the vocabulary."""
        text = hashlib.sha256()
        for corpus in (self.splits.train, self.splits.validation, self.splits.test):
            text.update(np.ascontiguousarray(corpus.ids).data)
            text.update(np.ascontiguousarray(corpus.offsets).data)
        text.update(repr(self.splits.train.tokenizer).encode())
        text.update("\0".join(self.splits.train.vocabulary.tokens).encode("utf-8", "replace"))
        return text.hexdigest()


class Material:
    """The parts of a text at any level: cut once, at the same characters for all.

    `splits` is used as it is for its own level, and its text is encoded again for others, with
    `min_count` and `max_size` where types are rare.
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
        """The level of the splits themselves."""
        return self.splits.train.tokenizer.level

    def at(self, level: str) -> LevelMaterial:
        """The text at a level.

        Raises LangmodelsError for another level than that of the splits where they did not keep
        their text, or where the tokens of the level cannot be found in it.
        """
        if level not in self._levels:
            if level != self.level:
                splits = self._encode(level)
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
                f"The tokens of level {self.level} cannot be found in the text, so that its models "
                "cannot be compared with those of other levels; compare them alone."
            )
        return self._levels[level]

    def _encode(self, level: str) -> Splits:
        parts = (self.splits.train.text, self.splits.validation.text, self.splits.test.text)
        if parts[0] is None or parts[1] is None or parts[2] is None:
            raise LangmodelsError(
                "Comparing levels needs the text; make the corpora with keep_text."
            )
        tokenizer = make_tokenizer(level)
        return Splits.from_parts(
            (parts[0], parts[1], parts[2]),
            tokenizer,
            how=self.splits.how,
            name=self.splits.train.name.removesuffix(" (training part)"),
            min_count=least_count(tokenizer, self._min_count),
            max_size=self._max_size if tokenizer.rare_types else None,
        )
