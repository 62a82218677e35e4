"""The works to cite for the methods of a comparison, as BibTeX."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from langmodels import __version__
from langmodels.evaluation.results import Results


@dataclass(frozen=True)
class Citation:
    """A work: its BibTeX key, entry type and fields."""

    key: str
    kind: str
    fields: Mapping[str, str]

    def bibtex(self) -> str:
        """The BibTeX entry."""
        lines = [f"  {name} = {{{value}}}," for name, value in self.fields.items()]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])


def _work(key: str, kind: str, author: str, title: str, year: int, **rest: str) -> Citation:
    return Citation(
        key, kind, {"author": author, "title": f"{{{title}}}", "year": str(year), **rest}
    )


_OURS = Citation(
    "langmodels",
    "misc",  # classic BibTeX styles have no @software
    {
        "author": "{The langmodels developers}",
        "title": "{langmodels: statistical language models, from n-grams to neural networks, in "
        "NumPy}",
        "note": f"Version {__version__}",
    },
)

_WORKS = (
    _work(
        "bengio-2003", "article",
        "Bengio, Yoshua and Ducharme, Réjean and Vincent, Pascal and Jauvin, Christian",
        "A Neural Probabilistic Language Model", 2003,
        journal="Journal of Machine Learning Research", volume="3", pages="1137--1155",
    ),
    _work(
        "brants-2007", "inproceedings",
        "Brants, Thorsten and Popat, Ashok C. and Xu, Peng and Och, Franz J. and Dean, Jeffrey",
        "Large Language Models in Machine Translation", 2007,
        booktitle="Proceedings of EMNLP-CoNLL", pages="858--867",
    ),
    _work(
        "brown-1992", "article",
        "Brown, Peter F. and Della Pietra, Vincent J. and deSouza, Peter V. and Lai, Jenifer C. "
        "and Mercer, Robert L.",
        "Class-Based n-gram Models of Natural Language", 1992,
        journal="Computational Linguistics", volume="18", number="4", pages="467--479",
    ),
    _work(
        "chen-1999", "article", "Chen, Stanley F. and Goodman, Joshua",
        "An Empirical Study of Smoothing Techniques for Language Modeling", 1999,
        journal="Computer Speech and Language", volume="13", number="4", pages="359--394",
    ),
    _work(
        "cho-2014", "inproceedings",
        "Cho, Kyunghyun and van Merriënboer, Bart and Gulcehre, Caglar and Bahdanau, Dzmitry and "
        "Bougares, Fethi and Schwenk, Holger and Bengio, Yoshua",
        "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine "
        "Translation", 2014,
        booktitle="Proceedings of EMNLP", pages="1724--1734",
    ),
    _work(
        "cleary-1995", "inproceedings",
        "Cleary, John G. and Teahan, William J. and Witten, Ian H.",
        "Unbounded Length Contexts for PPM", 1995,
        booktitle="Proceedings of the Data Compression Conference", pages="52--61",
    ),
    _work(
        "elman-1990", "article", "Elman, Jeffrey L.", "Finding Structure in Time", 1990,
        journal="Cognitive Science", volume="14", number="2", pages="179--211",
    ),
    _work(
        "feng-2024", "misc",
        "Feng, Leo and Tung, Frederick and Ahmed, Mohamed Osama and Bengio, Yoshua and "
        "Hajimirsadeghi, Hossein",
        "Were RNNs All We Needed?", 2024, eprint="2410.01201", archiveprefix="arXiv",
    ),
    _work(
        "hesterberg-2015", "article", "Hesterberg, Tim C.",
        "What Teachers Should Know About the Bootstrap: Resampling in the Undergraduate Statistics "
        "Curriculum", 2015,
        journal="The American Statistician", volume="69", number="4", pages="371--386",
    ),
    _work(
        "hochreiter-1997", "article", "Hochreiter, Sepp and Schmidhuber, Jürgen",
        "Long Short-Term Memory", 1997,
        journal="Neural Computation", volume="9", number="8", pages="1735--1780",
    ),
    _work(
        "holm-1979", "article", "Holm, Sture",
        "A Simple Sequentially Rejective Multiple Test Procedure", 1979,
        journal="Scandinavian Journal of Statistics", volume="6", number="2", pages="65--70",
    ),
    _work(
        "jelinek-1980", "inproceedings", "Jelinek, Frederick and Mercer, Robert L.",
        "Interpolated Estimation of Markov Source Parameters from Sparse Data", 1980,
        booktitle="Proceedings of the Workshop on Pattern Recognition in Practice",
        pages="381--397",
    ),
    _work(
        "katz-1987", "article", "Katz, Slava M.",
        "Estimation of Probabilities from Sparse Data for the Language Model Component of a Speech "
        "Recognizer", 1987,
        journal="IEEE Transactions on Acoustics, Speech, and Signal Processing", volume="35",
        number="3", pages="400--401",
    ),
    _work(
        "kim-2016", "inproceedings",
        "Kim, Yoon and Jernite, Yacine and Sontag, David and Rush, Alexander M.",
        "Character-Aware Neural Language Models", 2016,
        booktitle="Proceedings of the AAAI Conference on Artificial Intelligence",
        pages="2741--2749",
    ),
    _work(
        "kneser-1995", "inproceedings", "Kneser, Reinhard and Ney, Hermann",
        "Improved Backing-Off for M-gram Language Modeling", 1995,
        booktitle="Proceedings of ICASSP", volume="1", pages="181--184",
    ),
    _work(
        "krause-2018", "inproceedings",
        "Krause, Ben and Kahembwe, Emmanuel and Murray, Iain and Renals, Steve",
        "Dynamic Evaluation of Neural Sequence Models", 2018,
        booktitle="Proceedings of ICML", pages="2766--2775",
    ),
    _work(
        "kuhn-1990", "article", "Kuhn, Roland and De Mori, Renato",
        "A Cache-Based Natural Language Model for Speech Recognition", 1990,
        journal="IEEE Transactions on Pattern Analysis and Machine Intelligence", volume="12",
        number="6", pages="570--583",
    ),
    _work(
        "ney-1994", "article", "Ney, Hermann and Essen, Ute and Kneser, Reinhard",
        "On Structuring Probabilistic Dependences in Stochastic Language Modelling", 1994,
        journal="Computer Speech and Language", volume="8", number="1", pages="1--38",
    ),
    _work(
        "noreen-1989", "book", "Noreen, Eric W.",
        "Computer-Intensive Methods for Testing Hypotheses: An Introduction", 1989,
        publisher="Wiley",
    ),
    _work(
        "radford-2019", "techreport",
        "Radford, Alec and Wu, Jeffrey and Child, Rewon and Luan, David and Amodei, Dario and "
        "Sutskever, Ilya",
        "Language Models are Unsupervised Multitask Learners", 2019, institution="OpenAI",
    ),
    _work(
        "shkarin-2002", "inproceedings", "Shkarin, Dmitry", "PPM: One Step to Practicality", 2002,
        booktitle="Proceedings of the Data Compression Conference", pages="202--211",
    ),
    _work(
        "touvron-2023", "misc",
        "Touvron, Hugo and Lavril, Thibaut and Izacard, Gautier and Martinet, Xavier and Lachaux, "
        "Marie-Anne and Lacroix, Timothée and Rozière, Baptiste and others",
        "LLaMA: Open and Efficient Foundation Language Models", 2023, eprint="2302.13971",
        archiveprefix="arXiv",
    ),
    _work(
        "vaswani-2017", "inproceedings",
        "Vaswani, Ashish and Shazeer, Noam and Parmar, Niki and Uszkoreit, Jakob and Jones, Llion "
        "and Gomez, Aidan N. and Kaiser, Łukasz and Polosukhin, Illia",
        "Attention Is All You Need", 2017,
        booktitle="Advances in Neural Information Processing Systems", volume="30",
    ),
    _work(
        "witten-1991", "article", "Witten, Ian H. and Bell, Timothy C.",
        "The Zero-Frequency Problem: Estimating the Probabilities of Novel Events in Adaptive Text "
        "Compression", 1991,
        journal="IEEE Transactions on Information Theory", volume="37", number="4",
        pages="1085--1094",
    ),
    _work(
        "wood-2009", "inproceedings",
        "Wood, Frank and Archambeau, Cédric and Gasthaus, Jan and James, Lancelot and Teh, Yee "
        "Whye",
        "A Stochastic Memoizer for Sequence Data", 2009,
        booktitle="Proceedings of ICML", pages="1129--1136",
    ),
)  # fmt: skip
WORKS = {work.key: work for work in (_OURS, *_WORKS)}

METHODS: dict[str, tuple[str, ...]] = {
    "full-context": ("wood-2009",),
    "adaptive": ("cleary-1995", "shkarin-2002"),
    "stupid-backoff": ("brants-2007",),
    "jelinek-mercer": ("jelinek-1980",),
    "witten-bell": ("witten-1991",),
    "absolute": ("ney-1994",),
    "katz": ("katz-1987",),
    "kneser-ney": ("kneser-1995", "chen-1999"),
    "modified-kneser-ney": ("kneser-1995", "chen-1999"),
    "class": ("brown-1992",),
    "cache": ("kuhn-1990", "kneser-1995", "chen-1999"),
    "feed-forward": ("bengio-2003",),
    "rnn": ("elman-1990",),
    "gru": ("cho-2014",),
    "lstm": ("hochreiter-1997",),
    "mingru": ("feng-2024",),
    "dynamic": ("krause-2018", "hochreiter-1997"),
    "char-cnn-lstm": ("kim-2016", "hochreiter-1997"),
    "transformer": ("vaswani-2017", "touvron-2023"),
    "transformer-gpt2": ("vaswani-2017", "radford-2019"),
    "mixture": ("kneser-1995", "chen-1999", "hochreiter-1997", "jelinek-1980"),
}
"""Keys of works to cite, by names of models."""

COMPARING = ("hesterberg-2015", "noreen-1989", "holm-1979")
"""The works behind the intervals and tests of every table."""


def works_of(results: Results) -> list[Citation]:
    """The works to cite for a table: for its models, its intervals and tests, and this package."""
    names = [_method(model.name, model.options) for model in results.models]
    return works_for(names, comparing=True)


def works_for(names: Iterable[str], *, comparing: bool = False) -> list[Citation]:
    """The works to cite for models by name, sorted by key; with `comparing` also those for the
    statistics.
    """
    keys = {key for name in names for key in METHODS.get(name, ())}
    keys |= {_OURS.key, *(COMPARING if comparing else ())}
    return [WORKS[key] for key in sorted(keys)]


def _method(name: str, options: Mapping[str, Any]) -> str:
    """The key of a model in `METHODS`; for n-gram models of files, their smoothing."""
    smoothing = options.get("smoothing")
    if name not in METHODS and isinstance(smoothing, str):
        return smoothing.replace("_", "-")
    return name
