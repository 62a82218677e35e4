"""What a comparison found, as plain data: everything that is printed, and nothing else."""

import math
from dataclasses import dataclass, field
from typing import Any

from langmodels.evaluation.breakdown import Disagreement
from langmodels.evaluation.calibration import Calibration
from langmodels.evaluation.contexts import ContextCount
from langmodels.evaluation.statistics import Exponent
from langmodels.text.levels import TOKENIZERS


@dataclass(frozen=True)
class Limit:
    """The entropy of a source in bits per character, where it is known: no model does better."""

    bits: float
    is_bound: bool
    note: str


@dataclass(frozen=True)
class LevelResult:
    """The text at one level.

    `per`: what the losses of its models are divided by, "char" of the raw text, or "token" where
    tokens cannot be found in the text; the latter only where there is one level.

    `tokens`, `types` and unknown tokens (`oov`) of the training, validation and test part;
    `vocabulary`: ids in all; `min_count`: least count of a known token in training;
    `carried`: whether state was carried over the lines of the text;
    `unit` is the level's name for a token. `read_by`: the finished model whose tokens and
    vocabulary these are, where they are not the text's own.
    `extras`: bits per character that every model of the level pays beyond its tokens, by reason.
    `groups`: for each way of breaking the losses down, labels and target counts. `passage`: tokens
    at the beginning of the test text.
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
        """What a token is called."""
        name = self.level.partition(" (")[0].partition(":")[0]
        return TOKENIZERS[name].unit if name in TOKENIZERS else name

    @property
    def separator(self) -> str:
        """What to show between tokens: nothing where they are the whole text."""
        return " " if self.per == "token" or "spacing" in self.extras else ""

    @property
    def reading(self) -> str:
        """The unit, and whose tokens they are or how they were made, where there are several."""
        level, _, own = self.level.partition(" (")
        options = self.read_by if own else level.partition(":")[2]
        return f"{self.unit} ({options})" if options else self.unit


@dataclass(frozen=True)
class Growth:
    """A model after training on `tokens` tokens, `size` bytes of arrays; costs are in `Timing`."""

    tokens: int
    size: int
    perplexity: float
    bits_per_character: float


@dataclass(frozen=True)
class Cost:
    """What one training run cost: seconds, peak bytes (None if unknown), test tokens a second."""

    tokens: int
    seconds: float
    peak: int | None
    rate: float


@dataclass(frozen=True)
class Timing:
    """All that differs from run to run and machine to machine.

    `growth`: costs by training size, the whole text last. `steps`: seconds a step after a context
    of each length. `exponents`: how training "seconds", "peak" memory and scoring "rate" grow with
    the training text, and "steps" with the context: 0 is not at all, 1 in proportion.
    """

    growth: list[Cost]
    steps: dict[int, float]
    exponents: dict[str, Exponent]

    @property
    def full(self) -> Cost:
        """Costs of training on the whole text."""
        return self.growth[-1]


@dataclass(frozen=True)
class BlankFigures:
    """How so many blanks were filled: how often the right token came first, the mean of one over
    its rank, and the mean of its -log p in nats.
    """

    blanks: int
    accuracy: float
    reciprocal_rank: float
    loss: float

    @property
    def perplexity(self) -> float:
        """Perplexity of the right token."""
        return math.exp(self.loss) if self.loss < 700 else math.inf


@dataclass(frozen=True)
class Filled:
    """How a model filled blanks by what comes `before` them, and by `both` sides.

    Models made for blanks have no `before`; the others, for both sides, try their most probable
    tokens and keep what makes the whole sequence probable.
    """

    before: BlankFigures | None
    both: BlankFigures | None


@dataclass(frozen=True)
class ClozeResult:
    """A model that fills blanks and gives sequences no probability; means over its seeds."""

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
    """A model's figures on the validation text, by which settings may be chosen."""

    perplexity: float
    bits_per_token: float


@dataclass(frozen=True)
class Try:
    """One setting of a sweep: the options that vary, and its figures, means over its seeds.

    `perplexity` and `bits_per_character` are those of the test text, and have chosen nothing.
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
    """A model of which many settings were tried, that with the least validation loss was chosen.

    `name`: as it was asked for; `settings`: how many there are in all, of which `tries` were
    drawn; these are ordered by their validation loss.
    """

    name: str
    level: str
    settings: int
    tries: list[Try]


@dataclass(frozen=True)
class ModelResult:
    """One model's figures on the test text, means over its seeds.

    `bits_per_character` is per character of raw text, all extras paid (see `LevelResult.per`);
    `interval` holds its mean over texts like this with 95 % confidence, None where it is infinite.
    `zero_share`: share of the test tokens with probability zero. `seeds`: bits per character by
    seed; `spread` is their standard deviation. `bands`: mean bits per token by group. `passage`:
    bits of its tokens. `finished`: measured as it came, not trained here. `history`, `warnings`:
    what the model recorded and complained of in training.
    `exponents`: how "size" and "bits" grow with the training text. `filled`: only where models
    that fill blanks are compared as well. `validation`: figures on the validation text.
    `perplexities`: perplexity by seed.
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
        """Bytes of the model's arrays."""
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
    """Neighbours in the ranking: is the better one really better?

    `difference`: bits per character by which `worse` costs more, with its 95 % interval; `p`:
    two-sided, by approximate randomization over `Text.resampled`, or where there are several seeds
    by the hierarchical bootstrap over these and seeds; `corrected`: after Holm's correction for the
    number of tests. `effect`: Cohen's d, the mean difference of the blocks over its standard
    deviation, weighted by their sizes, with its 95 % interval. `detectable`: the smallest true
    difference, in bits per character, that a test on as much text would find four times in five
    (at p < 0.05, before corrections).
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
        """Whether it can be said that `better` is better."""
        return self.corrected < 0.05


@dataclass(frozen=True)
class Compressor:
    """What a compressor makes of the test text, in bits per character of it.

    `alone`: of the test text by itself. `after_training`: by how much it makes a file longer that
    begins with the training text, the compressor's way of having learnt from that.
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
    """The text compared on: its name, how it was divided, characters and documents of its parts.

    `resampled`: what intervals and tests are over, `units` "blocks" of the test text or its
    "documents".
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
    """Everything a comparison found; `models` best first, and `cloze` models, which fill blanks.

    `unfinished`: what Ctrl-C cut off, called as in the tests, by label, and level where there are
    several; `failures`: why others have no figures, by the same name, and the seed where there are
    several.
    `clear_best`: whether the best model is better than each other one, by tests against all.
    `sweeps`: models of which many settings were tried. `compressors`: to hold models against, where
    they were asked for.
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
        """Whether the tokens of a level are the characters of the text, one for one."""
        tokens = next(found.tokens for found in self.levels if found.level == level)
        return tokens[2] == self.text.characters[2]

    @property
    def per(self) -> str:
        """What the figures that rank the models are per: "char" or "token"."""
        return self.levels[0].per if self.levels else "char"


def records(results: Results) -> list[dict[str, Any]]:
    """One flat record a model, best first; then those that only fill blanks."""
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
