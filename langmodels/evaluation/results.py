"""The results of a comparison as plain data: everything that is printed, and nothing else.

The first paragraph of each docstring is its description in the JSON Schema.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from langmodels.evaluation.breakdown import Disagreement
from langmodels.evaluation.calibration import Calibration
from langmodels.evaluation.contexts import ContextCount
from langmodels.evaluation.statistics import Exponent
from langmodels.models.scores import perplexity_at
from langmodels.text.levels import TOKENIZERS


@dataclass(frozen=True)
class Limit:
    """The known entropy of a source in bits per character, which no model can go below.

    `is_bound`: whether `bits` is not the entropy, but a lower bound of it.
    """

    bits: float
    is_bound: bool
    note: str


@dataclass(frozen=True)
class LevelResult:
    """The text at one level.

    `tokens`, `types`, `oov`: counts of tokens, types and unknown tokens in the training, validation
    and test part. `vocabulary`: number of ids. `min_count`: least training count of a known token.
    `per`: the unit that losses are divided by, "char" of the raw text, or "token" where tokens
    cannot be found in the text; the latter only where there is one level. `extras`: bits per
    character added to every model of the level for what its tokens do not encode, by reason.
    `contexts`: how often contexts of each length occur in training. `groups`: for each breakdown of
    the losses, the labels of its groups and the number of targets in each. `passage`: the tokens at
    the beginning of the test text. `lowered`: whether tokens are lower-cased. `carried`: whether
    state was carried from each line to the next. `read_by`: the finished model whose tokens and
    vocabulary these are, empty where they are the text's own.
    """

    level: str
    tokenizer: str
    tokens: tuple[int, int, int]
    types: tuple[int, int, int]
    oov: tuple[int, int, int]
    vocabulary: int
    extras: dict[str, float]
    lowered: bool
    per: str
    contexts: list[ContextCount]
    groups: dict[str, tuple[list[str], list[int]]]
    passage: list[str]
    min_count: int | None = None
    read_by: str = ""
    carried: bool = False

    @property
    def unit(self) -> str:
        """What a token of this level is called, such as "word"."""
        name = self.level.partition(" (")[0].partition(":")[0]
        return TOKENIZERS[name].unit if name in TOKENIZERS else name

    @property
    def separator(self) -> str:
        """What to show between tokens: a blank, or nothing where tokens hold the white space."""
        return " " if self.per == "token" or "spacing" in self.extras else ""

    @property
    def reading(self) -> str:
        """The unit; in parentheses the model whose tokens they are, or the options of the level."""
        level, _, own = self.level.partition(" (")
        options = self.read_by if own else level.partition(":")[2]
        return f"{self.unit} ({options})" if options else self.unit


@dataclass(frozen=True)
class Growth:
    """A model's size, in bytes of arrays, and test loss after training on so many tokens."""

    tokens: int
    size: int
    perplexity: float
    bits_per_character: float


@dataclass(frozen=True)
class Cost:
    """The cost of training on so many tokens, and the speed of scoring afterwards.

    `seconds` of training, NaN for finished models; `peak`: growth of resident memory in training,
    in bytes, None where unknown; `rate`: test tokens scored per second.
    """

    tokens: int
    seconds: float
    peak: int | None
    rate: float


@dataclass(frozen=True)
class Timing:
    """All figures that differ between runs and machines.

    `growth`: costs by training size, ascending, the whole text last. `steps`: seconds per
    prediction, by length of the context. `exponents`: a of y ~ x^a, where y is training "seconds",
    "peak" memory or scoring "rate" and x the training size, or y is "steps" and x the length of the
    context.
    """

    growth: list[Cost]
    steps: dict[int, float]
    exponents: dict[str, Exponent]

    @property
    def full(self) -> Cost:
        """The cost of training on the whole text."""
        return self.growth[-1]


@dataclass(frozen=True)
class BlankFigures:
    """How well a number of blanks was filled.

    `accuracy`: share of blanks whose right token ranked first; `reciprocal_rank`: mean of one over
    the rank of the right token; `loss`: mean -log p of the right token, in nats.
    """

    blanks: int
    accuracy: float
    reciprocal_rank: float
    loss: float

    @property
    def perplexity(self) -> float:
        """Perplexity of the right token."""
        return perplexity_at(self.loss)


@dataclass(frozen=True)
class Filled:
    """How well a model fills blanks given the tokens before them, and given both sides.

    `before` is None for models made for blanks. For `both`, other models try their most probable
    tokens in the blank and rank them by the probability of the whole sequence.
    """

    before: BlankFigures | None
    both: BlankFigures | None


@dataclass(frozen=True)
class ClozeResult:
    """A model that only fills blanks, and gives sequences no probability; means over its seeds."""

    label: str
    name: str
    level: str
    summary: str
    options: dict[str, Any]
    parameters: int
    seconds: float
    filled: Filled


@dataclass(frozen=True)
class Validation:
    """A model's loss on the validation text, by which settings may be chosen."""

    perplexity: float
    bits_per_token: float


@dataclass(frozen=True)
class Try:
    """One setting of a sweep: the options that vary, and its figures, means over its seeds.

    `perplexity` and `bits_per_character` are of the test text, and play no part in the choice.
    `chosen`: whether it has the least validation loss.
    """

    label: str
    options: dict[str, Any]
    validation: Validation
    perplexity: float
    bits_per_character: float
    seeds: int
    chosen: bool


@dataclass(frozen=True)
class Sweep:
    """A model that was trained with many settings, to choose the one with least validation loss.

    `name`: as it was asked for; `settings`: how many there are in all; `tries`: those that were
    trained, by ascending validation loss.
    """

    name: str
    level: str
    settings: int
    tries: list[Try]


@dataclass(frozen=True)
class ModelResult:
    """One model's figures on the test text, means over its seeds.

    `bits_per_character`: per character of raw text, the extras of the level included; per token
    where `LevelResult.per` says so. `interval`: its 95 % confidence interval, None where it is
    infinite. `seeds`, `perplexities`: bits per character and perplexity by seed. `zero_share`:
    share of the test tokens with probability zero. `is_distribution`: false where scores do not
    sum to one and were normalised. `growth`: figures by training size, the whole text last.
    `exponents`: a of y ~ x^a, where y is "size" or "bits" and x the training size. `bands`: mean
    bits per token in each group of each breakdown (`LevelResult.groups`). `passage`: bits of each
    token of `LevelResult.passage`. `history`: training and validation loss by epoch, in nats per
    token. `warnings`: those given in training. `filled`: None unless models that fill blanks are
    compared as well. `finished`: whether it was trained before. `validation`: its loss on the
    validation text.
    """

    label: str
    name: str
    level: str
    summary: str
    options: dict[str, Any]
    perplexity: float
    bits_per_token: float
    bits_per_character: float
    interval: tuple[float, float] | None
    zero_share: float
    seeds: dict[int, float]
    is_distribution: bool
    parameters: int
    context_length: int | None
    growth: list[Growth]
    exponents: dict[str, Exponent]
    bands: dict[str, list[float]]
    calibration: Calibration
    sample: str
    passage: list[float]
    history: list[dict[str, float | None]]
    warnings: list[str]
    timing: Timing
    filled: Filled | None = None
    finished: bool = False
    validation: Validation | None = None
    perplexities: dict[int, float] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the model's arrays after training on the whole text."""
        return self.growth[-1].size

    @property
    def spread(self) -> float | None:
        """Standard deviation of bits per character over seeds; None with one seed."""
        return _deviation(list(self.seeds.values()))

    @property
    def perplexity_spread(self) -> float | None:
        """Standard deviation of perplexity over seeds; None with one seed."""
        return _deviation(list(self.perplexities.values()))


def _deviation(values: list[float]) -> float | None:
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


@dataclass(frozen=True)
class PairedTest:
    """A paired test of two models.

    `difference`: bits per character (or token, see `Results.per`) by which `worse` has the larger
    loss, with its 95 % `interval`. `p`: two-sided p-value, by approximate randomization over
    `Text.resampled`, or with several seeds by the hierarchical bootstrap over these and seeds;
    `corrected`: the p-value after Holm's correction for the number of tests. `effect`: Cohen's d,
    the mean difference of blocks over its standard deviation, both weighted by size, with its 95 %
    interval. `detectable`: the true difference that a test on as much text would find with a power
    of 80 % (at p < 0.05, uncorrected).
    """

    better: str
    worse: str
    difference: float
    interval: tuple[float, float]
    p: float
    corrected: float
    effect: float = math.nan
    effect_interval: tuple[float, float] = (math.nan, math.nan)
    detectable: float = math.nan

    @property
    def significant(self) -> bool:
        """Whether the corrected p-value is below 0.05."""
        return self.corrected < 0.05


@dataclass(frozen=True)
class Compressor:
    """The size of the compressed test text, in bits per character.

    `alone`: of the test text by itself. `after_training`: by how much the test text lengthens the
    compressed training text when it is appended to that.
    """

    name: str
    alone: float
    after_training: float


@dataclass(frozen=True)
class Differences:
    """The test tokens on which the two best models of a level differ most."""

    level: str
    models: tuple[str, str]
    tokens: list[Disagreement]


@dataclass(frozen=True)
class Text:
    """The text of a comparison, how it was split, and the sizes of its parts.

    `characters`, `documents`: of the training, validation and test part. `resampled`: what
    intervals and tests resample, "blocks" of the test text or its "documents"; `units`: how many
    there are.
    """

    name: str
    description: str
    split: str
    characters: tuple[int, int, int]
    documents: tuple[int, int, int] = (1, 1, 1)
    resampled: str = "blocks"
    units: int = 0


@dataclass(frozen=True)
class Results:
    """The results of a comparison.

    `models`: language models, best first; `cloze`: models that only fill blanks. `unfinished`:
    models that Ctrl-C stopped, by label, with the level where there are several; `failures`: why
    other models have no figures, by the same names, with the seed where there are several.
    `clear_best`: whether the best model is significantly better than every other one.
    `sweeps`: models that were trained with many settings. `compressors`: general-purpose
    compressors on the same text, where asked for.
    """

    text: Text
    limit: Limit | None
    levels: list[LevelResult]
    models: list[ModelResult]
    tests: list[PairedTest]
    differences: list[Differences]
    settings: dict[str, Any]
    environment: dict[str, str]
    unfinished: list[str] = field(default_factory=list)
    cloze: list[ClozeResult] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    clear_best: bool = False
    sweeps: list[Sweep] = field(default_factory=list)
    compressors: list[Compressor] = field(default_factory=list)

    def by_character(self, level: str) -> bool:
        """Whether the tokens of a level are the characters of the text, one to one."""
        tokens = next(found.tokens for found in self.levels if found.level == level)
        return tokens[2] == self.text.characters[2]

    @property
    def per(self) -> str:
        """The unit of the losses that rank the models: "char" or "token"."""
        return self.levels[0].per if self.levels else "char"


def records(results: Results) -> list[dict[str, Any]]:
    """One flat dictionary per model, best first; then those that only fill blanks. All have the
    same keys, with NaN for figures that a model does not have.
    """
    rows: list[dict[str, Any]] = [
        {
            "model": m.label,
            "level": m.level,
            f"bits_per_{'character' if results.per == 'char' else 'token'}": m.bits_per_character,
            "low": m.interval[0] if m.interval else math.nan,
            "high": m.interval[1] if m.interval else math.nan,
            "seeds": len(m.seeds),
            "spread": math.nan if m.spread is None else m.spread,
            "perplexity": m.perplexity,
            "validation_perplexity": m.validation.perplexity if m.validation else math.nan,
            **({"bits_per_token": m.bits_per_token} if results.per == "char" else {}),
            "zero_share": m.zero_share,
            "parameters": m.parameters,
            "bytes": m.size,
            "peak_bytes": m.timing.full.peak,
            "training_seconds": m.timing.full.seconds,
            "tokens_per_second": m.timing.full.rate,
            **_blank_figures(m.filled),
        }
        for m in results.models
    ]
    rows += [
        {
            "model": m.label,
            "level": m.level,
            "parameters": m.parameters,
            "training_seconds": m.seconds,
            **_blank_figures(m.filled),
        }
        for m in results.cloze
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name, math.nan) for name in names} for row in rows]


def _blank_figures(filled: Filled | None) -> dict[str, Any]:
    if filled is None or filled.both is None:
        return {}
    return {"blanks_right": filled.both.accuracy, "blanks_perplexity": filled.both.perplexity}
