"""Presets: the default hyper-parameters that depend on the length of the training text, its level
and the budget.

All others have the defaults of the constructors. So have these at `Setting()`: a short text of
words and the standard budget.
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
    """Defaults for texts of at least so many words.

    `order`: added to the usual n-gram order of the level. `passes`: factor of the number of epochs.
    `batch_size`: sequences per batch. `steps`: length of truncated back-propagation through time,
    in tokens; None for the usual one of the level. `dropout`, `weight_dropout`: with the thorough
    budget. Widths of recurrent networks depend on the budget only: within a minute of training,
    narrow ones reach a lower loss on long texts, too.
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
"""By ascending number of words; the experiments that they are chosen by are in docs/models.md."""

SMALLER = 4
"""How many characters, bytes or other tokens smaller than words count as one word."""


@dataclass(frozen=True)
class Setting:
    """What the default hyper-parameters of models depend on.

    `level`: the name of one of `TOKENIZERS`, options allowed. `order`: of n-gram models; None for
    the default of level and size. `seed`: of random models. `budget`: one of `BUDGETS`. `tokens`:
    length of the training text; 0 where it is not known, with the defaults of short texts.
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
        """The order of n-gram models: higher for characters than for words, and for long texts."""
        if self.order is not None:
            return self.order
        return self.tokenizer.usual_order + self.size.order

    @property
    def tokenizer(self) -> type[Tokenizer]:
        """The tokenizer class of the level."""
        return TOKENIZERS.find(parse_name(self.level)[0])

    @property
    def size(self) -> Size:
        """The defaults for texts of this length."""
        words = self.tokens // (1 if self.tokenizer.rare_types else SMALLER)
        return next(size for size in reversed(SIZES) if size.words <= words)

    def epochs(self, usual: int) -> int:
        """The number of epochs on this text, where it is `usual` on a short one; at least 1."""
        return max(1, round(usual * self.size.passes))

    @classmethod
    def of_size(cls, size: Size, level: str, budget: str = "standard") -> "Setting":
        """The setting of the shortest text that has the defaults of `size`."""
        setting = cls(level, budget=budget)
        words = 1 if setting.tokenizer.rare_types else SMALLER
        return replace(setting, tokens=words * size.words)

    @property
    def chosen(self) -> str:
        """A sentence on the defaults, where they differ from those of short texts; else empty."""
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
    """No defaults that depend on the setting."""
    return {}


def order(setting: Setting) -> Options:
    """The order of n-gram models."""
    return {"order": setting.ngram_order}


def recurrent(setting: Setting) -> Options:
    """The width and the training of recurrent networks."""
    hidden, epochs = {"quick": (64, 3), "standard": (128, 6), "thorough": (256, 20)}[setting.budget]
    # A text has fewer words than characters; with shorter chunks an epoch has enough updates.
    steps = 16 if setting.tokenizer.rare_types else 32
    return {
        "hidden": hidden,
        "epochs": setting.epochs(epochs),
        "batch_size": setting.size.batch_size,
        "steps": setting.size.steps or steps,
        "seed": setting.seed,
    }


def language(setting: Setting, words: float, characters: float) -> Options:
    """As `recurrent`, with tied embeddings and a learning rate for words, or untied ones and a
    learning rate for smaller units.

    The learning rates of `rnn` to `lstm` gave the least validation loss on the tale in `corpora/`.
    """
    options = recurrent(setting)
    if not setting.tokenizer.rare_types:
        return {**options, "tied": False, "learning_rate": characters}
    size = setting.size
    options |= {"tied": None, "learning_rate": words}
    if setting.budget == "standard":
        options["epochs"] = setting.epochs(5)  # tied embeddings converge sooner
    elif setting.budget == "thorough":  # twice the width overfits without regularisation
        options |= {"epochs": setting.epochs(10), "learning_rate": words / 2}
        options |= {"dropout": size.dropout, "weight_dropout": size.weight_dropout}
    return options


def rnn(setting: Setting) -> Options:
    """For Elman networks."""
    return language(setting, 0.008, 0.005)


def gru(setting: Setting) -> Options:
    """For gated recurrent units."""
    return language(setting, 0.01, 0.005)


def mingru(setting: Setting) -> Options:
    """For minimal gated recurrent units."""
    return language(setting, 0.02, 0.005)


def lstm(setting: Setting) -> Options:
    """For long short-term memories."""
    return language(setting, 0.02, 0.01)


def feed_forward(setting: Setting) -> Options:
    """As `recurrent`, for the multilayer perceptron on the last tokens."""
    # A row of a batch predicts one token, not a chunk of `steps`: as many tokens need more rows.
    options = recurrent(setting)
    order = setting.tokenizer.usual_order if setting.order is None else setting.order
    return {**options, "batch_size": 16 * options.pop("steps"), "order": order}


def transformer(setting: Setting) -> Options:
    """The size and the training of Transformers: about as many weights as recurrent networks have,
    and as many epochs.

    Short texts of words have widths and learning rates of their own, by the experiments in
    docs/models.md.
    """
    sizes = {"quick": (64, 2, 3), "standard": (128, 2, 6), "thorough": (256, 4, 20)}
    width, layers, epochs = sizes[setting.budget]
    words, rate = setting.tokenizer.rare_types, 0.003
    of_short = {"quick": (64, 0.01), "standard": (96, 0.004)}
    if words and not setting.size.words:
        width, rate = of_short.get(setting.budget, (width, rate))
    return {
        "width": width,
        "layers": layers,
        "window": 32 if words else 64,
        "epochs": setting.epochs(epochs),
        "batch_size": setting.size.batch_size,
        "steps": 16 if words else 32,
        "learning_rate": rate,
        "seed": setting.seed,
    }
