"""Settings by budget: the hyper-parameters that depend on the text and on how much time there is.

All others are what the constructors of the models have. At `Setting()`, words and the standard
budget, these are, too.
"""

from dataclasses import dataclass
from typing import Any

from langmodels.settings import parse_name
from langmodels.text.levels import TOKENIZERS
from langmodels.text.tokenization import Tokenizer

BUDGETS = ("quick", "standard", "thorough")


@dataclass(frozen=True)
class Setting:
    """What decides a model's default hyper-parameters.

    `level`: one of `TOKENIZERS`; `order` of n-gram models, None for the level's default; `budget`
    is how much time may be spent, one of `BUDGETS`; `tokens`: of the training text, where training
    lasts as long as time allows, and not for some epochs; else 0.
    """

    level: str = "word"
    order: int | None = None
    seed: int = 0
    budget: str = "standard"
    tokens: int = 0

    @property
    def ngram_order(self) -> int:
        """The order of n-gram models: longer for small units than for words and numbers."""
        return self.tokenizer.usual_order if self.order is None else self.order

    @property
    def tokenizer(self) -> type[Tokenizer]:
        """What the level is."""
        return TOKENIZERS.find(parse_name(self.level)[0])


LONG = 200_000
"""Tokens of words from which larger batches are better in the same time.

An LSTM of 128 units on 414,000 tokens of dictionaries (16,103 words, adaptive softmax), 30 seconds
of processor time each: 16 sequences of 16 tokens, 300,000 tokens of training, validation perplexity
27.8; 32 of 32, 500,000 tokens, 23.3; and in 36 seconds 64 of 32, 700,000 tokens, 23.0.
"""

Options = dict[str, Any]


def nothing(setting: Setting) -> Options:
    return {}


def order(setting: Setting) -> Options:
    return {"order": setting.ngram_order}


def recurrent(setting: Setting) -> Options:
    """A network as large as the budget allows, trained until it stops getting better."""
    hidden, epochs = {"quick": (64, 3), "standard": (128, 6), "thorough": (256, 20)}[setting.budget]
    # A text has fewer words than characters: shorter chunks give training more steps.
    steps = 16 if setting.tokenizer.rare_types else 32
    options = {"hidden": hidden, "epochs": epochs, "steps": steps, "seed": setting.seed}
    if setting.tokenizer.rare_types and setting.tokens >= LONG:
        options |= {"batch_size": 32, "steps": 32}
    return options


def language(setting: Setting, words: float, characters: float) -> Options:
    """As `recurrent`, with tied weights for words; the learning rates for words and smaller units.

    They are those with the least validation loss on the shipped tale.
    """
    options = recurrent(setting)
    if not setting.tokenizer.rare_types:
        return {**options, "tied": False, "learning_rate": characters}
    options |= {"tied": None, "learning_rate": words}
    if setting.budget == "standard":
        options["epochs"] = 5  # tied weights learn faster
    elif setting.budget == "thorough":  # twice the units overfit unless they are held back
        options |= {"epochs": 10, "dropout": 0.6, "weight_dropout": 0.3, "learning_rate": words / 2}
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
    return {**options, "batch_size": 16 * options.pop("steps"), "order": setting.ngram_order}


def transformer(setting: Setting) -> Options:
    """As many weights as the recurrent networks have, about, and as many epochs."""
    sizes = {"quick": (64, 2, 3), "standard": (128, 2, 6), "thorough": (256, 4, 20)}
    width, layers, epochs = sizes[setting.budget]
    words = setting.tokenizer.rare_types
    return {
        "width": width,
        "layers": layers,
        "window": 32 if words else 64,
        "epochs": epochs,
        "steps": 16 if words else 32,
        "seed": setting.seed,
    }
