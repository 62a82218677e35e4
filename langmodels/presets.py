"""Settings by text and budget: the hyper-parameters that depend on how much text there is, in which
units, and on how much time.

All others are what the constructors of the models have. At `Setting()`, words of a short text and
the standard budget, these are, too.
"""

from dataclasses import dataclass, replace
from typing import Any

from langmodels.arguments import Seed, check_fields
from langmodels.settings import parse_name
from langmodels.text.levels import TOKENIZERS
from langmodels.text.tokenization import Tokenizer

BUDGETS = ("quick", "standard", "thorough")


@dataclass(frozen=True)
class Size:
    """What texts of so many words and more have by default.

    `order` is added to the level's usual order of n-grams; `passes` multiplies the epochs of
    networks; `batch_size`: sequences side by side; `steps`: tokens over which gradients go back,
    None: as many as the level has; `dropout`, `weight_dropout`: of thorough training. The width is
    that of the budget: in a minute of training narrow networks learn more from long texts, too.
    """

    words: int
    order: int = 0
    passes: float = 1.0
    batch_size: int = 16
    steps: int | None = None
    dropout: float = 0.6
    weight_dropout: float = 0.3


SIZES = (
    Size(0),
    Size(250_000, batch_size=32, steps=32),
    Size(500_000, 1, 0.6, 32, 32, 0.4, 0.2),
    Size(1_500_000, 1, 0.4, 64, 32, 0.4, 0.2),
    Size(5_000_000, 1, 0.2, 64, 32, 0.4, 0.2),
)
"""By words of the training text; the runs that they were fitted on are in docs/models.md."""

SMALLER = 4
"""How many tokens of units smaller than words count as one word."""


@dataclass(frozen=True)
class Setting:
    """What decides a model's default hyper-parameters.

    `level`: one of `TOKENIZERS`; `order` of n-gram models, None for the default of level and size;
    `budget` is how much time may be spent, one of `BUDGETS`; `tokens`: of the training text, 0
    where there is none yet: then what short texts have.
    """

    level: str = "word"
    order: int | None = None
    seed: Seed = 0
    budget: str = "standard"
    tokens: int = 0

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def ngram_order(self) -> int:
        """The order of n-gram models: longer for small units than for words and numbers, and for
        long texts.
        """
        if self.order is not None:
            return self.order
        return self.tokenizer.usual_order + self.size.order

    @property
    def tokenizer(self) -> type[Tokenizer]:
        """What the level is."""
        return TOKENIZERS.find(parse_name(self.level)[0])

    @property
    def size(self) -> Size:
        """What texts of this size have."""
        words = self.tokens // (1 if self.tokenizer.rare_types else SMALLER)
        return next(size for size in reversed(SIZES) if size.words <= words)

    def epochs(self, usual: int) -> int:
        """Passes over this text, of so many over a short one."""
        return max(1, round(usual * self.size.passes))

    @classmethod
    def of_size(cls, size: Size, level: str, budget: str = "standard") -> "Setting":
        """That of the shortest text of a size."""
        setting = cls(level, budget=budget)
        words = 1 if setting.tokenizer.rare_types else SMALLER
        return replace(setting, tokens=words * size.words)

    @property
    def chosen(self) -> str:
        """What long texts have by default and short ones do not, and why, in a sentence; empty for
        short texts.
        """
        size = self.size
        if not size.words:
            return ""
        network = lstm(self)
        epochs = network["epochs"]
        return (
            f"Defaults of texts of {size.words:,} words and more"
            + ("" if self.tokenizer.rare_types else f" ({SMALLER} tokens counted as one)")
            + f": n-grams of order {self.ngram_order}; recurrent networks of {network['hidden']} "
            f"units, {epochs} {'epoch' if epochs == 1 else 'epochs'}, batches of "
            f"{network['batch_size']} by {network['steps']} tokens."
        )


Options = dict[str, Any]


def nothing(setting: Setting) -> Options:
    return {}


def order(setting: Setting) -> Options:
    return {"order": setting.ngram_order}


def recurrent(setting: Setting) -> Options:
    """A network as large as text and budget allow, trained until it stops getting better."""
    hidden, epochs = {"quick": (64, 3), "standard": (128, 6), "thorough": (256, 20)}[setting.budget]
    # A text has fewer words than characters: shorter chunks give training more steps.
    steps = 16 if setting.tokenizer.rare_types else 32
    return {
        "hidden": hidden,
        "epochs": setting.epochs(epochs),
        "batch_size": setting.size.batch_size,
        "steps": setting.size.steps or steps,
        "seed": setting.seed,
    }


def language(setting: Setting, words: float, characters: float) -> Options:
    """As `recurrent`, with tied weights for words; the learning rates for words and smaller units.

    They are those with the least validation loss on the shipped tale.
    """
    options = recurrent(setting)
    if not setting.tokenizer.rare_types:
        return {**options, "tied": False, "learning_rate": characters}
    size = setting.size
    options |= {"tied": None, "learning_rate": words}
    if setting.budget == "standard":
        options["epochs"] = setting.epochs(5)  # tied weights learn faster
    elif setting.budget == "thorough":  # twice the units overfit unless they are held back
        options |= {"epochs": setting.epochs(10), "learning_rate": words / 2}
        options |= {"dropout": size.dropout, "weight_dropout": size.weight_dropout}
    return options


def rnn(setting: Setting) -> Options:
    return language(setting, 0.008, 0.005)


def gru(setting: Setting) -> Options:
    return language(setting, 0.01, 0.005)


def mingru(setting: Setting) -> Options:
    return language(setting, 0.02, 0.005)


def lstm(setting: Setting) -> Options:
    return language(setting, 0.02, 0.01)


def feed_forward(setting: Setting) -> Options:
    # A row of its batches is one window, not a stretch of text: as many tokens take more rows.
    options = recurrent(setting)
    order = setting.tokenizer.usual_order if setting.order is None else setting.order
    return {**options, "batch_size": 16 * options.pop("steps"), "order": order}


def transformer(setting: Setting) -> Options:
    """As many weights as the recurrent networks have, about, and as many epochs."""
    sizes = {"quick": (64, 2, 3), "standard": (128, 2, 6), "thorough": (256, 4, 20)}
    width, layers, epochs = sizes[setting.budget]
    words = setting.tokenizer.rare_types
    return {
        "width": width,
        "layers": layers,
        "window": 32 if words else 64,
        "epochs": setting.epochs(epochs),
        "batch_size": setting.size.batch_size,
        "steps": 16 if words else 32,
        "seed": setting.seed,
    }
