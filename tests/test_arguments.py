"""Arguments of the wrong kind: one sentence, whatever function was given them."""

import inspect
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import langmodels
from langmodels.arguments import ArgumentError, checked
from langmodels.errors import LangmodelsError
from langmodels.models.decoding import Decoding

TEXT = "the cat sat\nthe dog sat\na cat ran\n" * 8
WORDS = langmodels.NGramModel(2, smoothing="witten_bell").fit(TEXT)
LETTERS = langmodels.NGramModel(2, smoothing="witten_bell").fit(
    langmodels.Corpus.from_text(TEXT, "char")
)
CORPUS = langmodels.Corpus.read_by(WORDS.reading, TEXT)
RULE = langmodels.Rule(keep=0.5)


def wrong() -> dict[str, Any]:
    """What people give in the place of something else, made anew: streams come once."""
    return {
        "None": None,
        "a name": "m.lm",
        "a path": Path("m.lm"),
        "a model": WORDS,
        "models": [WORDS],
        "labelled models": {"a": WORDS},
        "a model that has learnt nothing": langmodels.NGramModel(2),
        "a class": langmodels.NGramModel,
        "a text": "the cat\nthe dog",
        "texts": ["the cat", "a dog"],
        "tokens": ["the", "cat"],
        "lists of tokens": [["the", "cat"], ["a"]],
        "a stream": (text for text in ["the cat", "a dog"]),
        "an array of texts": np.array(["the cat", "a dog"]),
        "an array of ids": np.array([3, 4]),
        "an array of numbers": np.array([0.25, 0.75]),
        "bytes": b"the cat",
        "a number": 2.5,
        "a whole number": 3,
        "not a number": float("nan"),
        "nothing": [],
        "no text": "",
        "a corpus": CORPUS,
        "a corpus of other words": langmodels.Corpus.from_text("quick brown fox"),
        "True": True,
        "a set": {"the", "cat"},
        "a hole": [None, "a"],
        "rows": [{"text": "a cat"}],
    }


def filtered(output: Any, **arguments: Any) -> Any:
    """A collection filtered anew."""
    if isinstance(output, str) and output == "out":
        shutil.rmtree("out", ignore_errors=True)
    return langmodels.filter_documents(output=output, **arguments)


CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "adapt": (langmodels.adapt, {"model": WORDS, "corpus": CORPUS, "validation": CORPUS}),
    "chain_rule": (langmodels.chain_rule, {"model": WORDS, "text": "the cat"}),
    "evaluate": (langmodels.evaluate, {"models": WORDS, "text": TEXT, "against": None}),
    "filter_documents": (
        filtered,
        {"inputs": "d.jsonl", "output": "out", "model": "m.lm", "rule": RULE, "against": None},
    ),
    "info": (langmodels.info, {"model": WORDS}),
    "load": (langmodels.load, {"path": "m.lm"}),
    "make_model": (langmodels.make_model, {"text": "unigram", "setting": None}),
    "make_tokenizer": (langmodels.make_tokenizer, {"level": "word"}),
    "merge": (
        langmodels.merge,
        {"models": [WORDS, WORDS], "weights": [0.5, 0.5], "validation": CORPUS},
    ),
    "prune": (langmodels.prune, {"model": WORDS, "threshold": 1e-5}),
    "quantize": (langmodels.quantize, {"model": WORDS}),
    "read_nbest": (langmodels.read_nbest, {"lines": ["the cat", "a dog"]}),
    "read_text": (langmodels.read_text, {"path": "t.txt"}),
    "rescore": (
        langmodels.rescore,
        {"model": WORDS, "lists": [["the cat", "a dog"]], "weight": 1.0, "length_bonus": 0.0},
    ),
    "restrict": (langmodels.restrict, {"model": WORDS, "words": ["the", "cat"]}),
    "sample_series": (langmodels.sample_series, {"model": WORDS, "n": 3}),
    "score_column": (langmodels.score_column, {"texts": ["the cat", None], "model": WORDS}),
    "score_documents": (
        lambda **given: list(langmodels.score_documents(**given)),
        {"documents": ["the cat"], "model": WORDS},
    ),
    "score_lines": (
        lambda **given: list(langmodels.score_lines(**given)),
        {"model": WORDS, "chunks": ["the cat\n"]},
    ),
    "score_texts": (langmodels.score_texts, {"model": WORDS, "texts": ["the cat"]}),
    "surprisal_table": (
        langmodels.surprisal_table,
        {"models": {"m": WORDS}, "documents": ["the cat"], "measures": ("surprisal",)},
    ),
    "word_surprisals": (langmodels.word_surprisals, {"model": WORDS, "text": "the cat"}),
    "Corpus.from_text": (
        langmodels.Corpus.from_text,
        {"text": TEXT, "tokenizer": "word", "vocabulary": None, "min_count": 1, "max_size": None},
    ),
    "Splits.from_text": (
        langmodels.Splits.from_text,
        {"text": TEXT, "tokenizer": "word", "fractions": (0.8, 0.1, 0.1)},
    ),
    "Splits.from_parts": (langmodels.Splits.from_parts, {"parts": (TEXT, TEXT, TEXT)}),
    "Vocabulary": (langmodels.Vocabulary, {"tokens": ["a", "b"]}),
    "MixtureModel": (
        langmodels.MixtureModel,
        {"models": [WORDS, langmodels.UnigramModel()], "weights": [0.5, 0.5]},
    ),
    "CacheModel": (langmodels.CacheModel, {"base": WORDS, "decay": 0.1}),
    "DynamicModel": (langmodels.DynamicModel, {"base": langmodels.LSTMModel(), "rate": 0.1}),
    "FillingModel": (langmodels.FillingModel, {"model": WORDS}),
    "LSTMModel": (langmodels.LSTMModel, {"hidden": 8, "learning_rate": 0.1, "dtype": "float32"}),
    "NGramModel": (langmodels.NGramModel, {"order": 2, "smoothing": "katz", "min_counts": ()}),
    "Rule": (langmodels.Rule, {"keep": 0.5}),
    "fit": (
        lambda **given: langmodels.UnigramModel().fit(**given),
        {"corpus": TEXT, "validation": TEXT},
    ),
    "save": (WORDS.save, {"path": "x.lm"}),
    "save_arpa": (WORDS.save_arpa, {"path": "x.arpa"}),
} | {
    f"{name} of {kind}": (getattr(model, name), arguments)
    for kind, model in (("words", WORDS), ("letters", LETTERS))
    for name, arguments in {
        "score": {"sequence": "cat"},
        "token_scores": {"sequence": "cat"},
        "score_many": {"sequences": ["cat"]},
        "prob": {"token": "a", "context": "cat"},
        "predict": {"context": "cat", "k": 3},
        "distribution": {"context": "cat"},
        "sample": {"prompt": "cat", "max_tokens": 3, "temperature": 1.0, "top_k": 2},
        "complete": {"prompt": "cat", "max_tokens": 3, "width": 2},
        "perplexity": {"corpus": langmodels.Corpus.read_by(model.reading, TEXT)},
        "score_corpus": {"corpus": langmodels.Corpus.read_by(model.reading, TEXT)},
        "tokenize": {"text": "cat"},
    }.items()
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files for what takes such."""
    monkeypatch.chdir(tmp_path)
    WORDS.save("m.lm")
    Path("t.txt").write_text(TEXT, encoding="utf-8")
    Path("d.jsonl").write_text('{"text": "a cat"}\n{"text": "a dog"}\n', encoding="utf-8")
    return tmp_path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_wrong_arguments_get_a_sentence(name: str, folder: Path) -> None:
    """Whatever stands in the place of an argument is taken, or refused in one sentence."""
    function, arguments = CALLS[name]
    if name != "sample_series":  # which wants another model
        function(**arguments)
    refusals = []
    for argument in arguments:
        for given in wrong():
            try:
                function(**{**arguments, argument: wrong()[given]})
            except LangmodelsError as error:
                refusals.append(str(error))
    assert refusals
    assert [message for message in refusals if not message.endswith((".", "?"))] == []


@pytest.mark.parametrize("name", langmodels.__all__)
def test_public_functions_look_at_their_arguments(name: str) -> None:
    function = getattr(langmodels, name)
    if inspect.isfunction(function) and inspect.signature(function).parameters:
        assert hasattr(function, "__wrapped__")


def test_seeds_are_said_to_be_that() -> None:
    """Of every function and constructor that people call: none draws by a negative one."""
    of_seeds = 0
    for name in langmodels.__all__:
        thing = getattr(langmodels, name)
        if not inspect.isclass(thing) and not inspect.isfunction(thing):
            continue
        methods = (
            [m for _, m in inspect.getmembers(thing, callable)] if inspect.isclass(thing) else []
        )
        for function in (thing, *methods):
            try:
                seed = inspect.signature(function, eval_str=True).parameters.get("seed")
            except (NameError, TypeError, ValueError):
                continue
            if seed is not None:
                assert "at least 0" in str(seed.annotation), function
                of_seeds += 1
    assert of_seeds > 15


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: langmodels.merge(WORDS, WORDS),  # type: ignore[arg-type]
            "models must be a list of NGramModels, not an NGramModel; put it in a list.",
        ),
        (
            lambda: langmodels.merge([WORDS, "m.lm"]),  # type: ignore[list-item]
            "models must be a list of NGramModels, not one with 'm.lm'; langmodels.load opens the "
            "file of one.",
        ),
        (
            lambda: langmodels.score_column(["a"], "m.lm"),  # type: ignore[arg-type]
            "model must be a LanguageModel, not 'm.lm'; langmodels.load opens the file of one.",
        ),
        (
            lambda: langmodels.filter_documents("d.jsonl", "out", WORDS, RULE),  # type: ignore[arg-type]
            "model must be a string or a path, not an NGramModel; save it, and give the path of "
            "its file.",
        ),
        (
            lambda: langmodels.score_texts(WORDS, "the cat"),
            "texts must be a list of strings, not 'the cat'; put it in a list.",
        ),
        (
            lambda: langmodels.LSTMModel(hidden="wide"),  # type: ignore[arg-type]
            "hidden must be a whole number, not 'wide'.",
        ),
        (
            lambda: WORDS.perplexity("the cat"),  # type: ignore[arg-type]
            "A text is read as the model reads it before, by Corpus.read_by(model.reading, text); "
            "this is a str.",
        ),
    ],
)
def test_wrong_arguments_are_explained_in_a_sentence(
    call: Callable[[], Any], sentence: str
) -> None:
    with pytest.raises(LangmodelsError) as caught:
        call()
    assert str(caught.value) == sentence


@checked
def taking(
    one: int | None = None,
    some: Sequence[float] = (),
    stream: Iterable[str] = (),
    named: Mapping[str, langmodels.UnigramModel] | None = None,
    pair: tuple[int, str] | None = None,
    word: Literal["a", "b"] = "a",
    *rest: int,
    anything: Any = None,
    **more: int,
) -> int:
    """What has annotations of every kind."""
    return 1 + len(rest) + len(more)


def test_what_annotations_allow_is_taken() -> None:
    assert taking(np.int64(3), np.array([1, 2.5]), (w for w in "ab")) == 1
    assert taking(None, (1, 2.5), ["a"], {"a": langmodels.UnigramModel()}, (1, "a"), "b", 1) == 2
    assert taking(some=[], anything=print, x=1) == 2
    with pytest.raises(TypeError, match="positional"):
        checked(lambda: None)(1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"one": True}, "one must be a whole number or None, not True."),
        ({"some": [1, "2"]}, "some must be a list of numbers, not one with '2'."),
        ({"some": 1}, "some must be a list of numbers, not 1; put it in a list."),
        ({"stream": b"ab"}, "stream must be a list or a stream of strings, not b'ab'."),
        (
            {"named": langmodels.UnigramModel()},
            "named must be a dictionary of UnigramModels or None, not a UnigramModel; give it a "
            "name, {name: it}.",
        ),
        ({"pair": (1, "a", 2)}, "pair must be 2 whole numbers or strings or None, not a tuple."),
        ({"word": "c"}, "word must be 'a' or 'b', not 'c'."),
    ],
)
def test_what_annotations_do_not_allow_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        taking(**arguments)
    assert str(caught.value) == message
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: WORDS.sample(seed=-1), "seed must be a whole number of 0 or more, a Generator"),
        (lambda: langmodels.evaluate(WORDS, TEXT, seed=-1), "seed must be a whole number of 0 or"),
        (lambda: langmodels.Setting(seed=-1), "seed must be a whole number of 0 or more, not -1"),
        (lambda: Decoding(top_k="x"), "top_k must be a whole number or None, not 'x'"),  # type: ignore[arg-type]
        (lambda: WORDS.sample(max_tokens=-1), "max_tokens must be 0 or more"),
        (lambda: langmodels.FillingModel(WORDS, -1), "candidates must be 0 or more"),
        (lambda: langmodels.rescore(WORDS, [["a"]], weight=float("nan")), "finite numbers"),
        (lambda: langmodels.rescore(WORDS, [["a"]], length_bonus=float("inf")), "finite numbers"),
        (
            lambda: langmodels.rescore(WORDS, [[langmodels.Hypothesis("a", float("nan"))]]),
            "The score of 'a' is no number",
        ),
        (lambda: langmodels.read_nbest(["a"], "kald"), "only auto, plain, kaldi"),
    ],
)
def test_numbers_that_would_rank_or_draw_nothing(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(LangmodelsError, match=message):
        call()


def test_a_field_that_no_document_has_is_noticed(folder: Path) -> None:
    with pytest.warns(UserWarning, match="No document has the field 'lang'"):
        langmodels.filter_documents("d.jsonl", folder / "out", "m.lm", RULE, by="lang")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: langmodels.NGramModel(2).fit(TEXT, init="m.lm"), "init must be an NGramModel"),  # type: ignore[arg-type]
        (lambda: langmodels.LSTMModel(epochs=1).fit(TEXT, init=WORDS), "init must be a Network"),
        (lambda: langmodels.FillingModel(WORDS).score_blanks("a cat"), "corpus must be a Corpus"),  # type: ignore[arg-type]
        (lambda: WORDS.save("m.arpa"), "save_arpa writes one"),
        (
            lambda: langmodels.compare("unigram", TEXT * 9).plot("x.png", ["qualty"]),
            "There is no plot 'qualty'; did you mean quality",
        ),
        (lambda: WORDS.predict(top_k=3), r"^predict has no option 'top_k'; choose from context, k"),  # type: ignore[call-arg]
        (lambda: WORDS.sample_text(n=3), "^sample has no option 'n'; choose from prompt"),
        (
            lambda: langmodels.LSTMModel().fit(TEXT, after_epoch="x"),  # type: ignore[arg-type]
            "after_epoch must be a function or None, not 'x'",
        ),
        (lambda: WORDS.vocabulary.token(10**9), r"from 0 to \d+, not 1000000000\.$"),
        (lambda: WORDS.vocabulary.decode([1.5]), "ids must be a list or a stream of whole numbers"),  # type: ignore[list-item]
        (lambda: WORDS.vocabulary.id(["the"]), "token must be a string, not a list"),  # type: ignore[arg-type]
        (lambda: WORDS.reading.text(3), "tokens must be a list or a stream of strings"),  # type: ignore[arg-type]
        (lambda: WORDS.vocabulary.encode("cat"), "a list of tokens, not a string; Reading.encode"),
        (lambda: WORDS.sequences_of("the cat"), "takes a list of texts; put a single one in"),
        (lambda: WORDS.scores("the cat"), "as sequences_of makes them, not str; score_many takes"),  # type: ignore[arg-type]
        (lambda: CORPUS.recoded("word"), "vocabulary must be a Vocabulary, not 'word'"),  # type: ignore[arg-type]
    ],
)
def test_what_a_method_is_given_is_looked_at(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(LangmodelsError, match=message):
        call()
