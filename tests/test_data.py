"""Vocabulary, tokenizers, cleaning, corpora and splits."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langmodels.errors import LangmodelsError, UsageError
from langmodels.text.cleaning import clean
from langmodels.text.corpus import Corpus
from langmodels.text.indexing import BlankWarning, MarkWarning, with_boundaries
from langmodels.text.levels import make_tokenizer, restore_tokenizer
from langmodels.text.splits import Splits, split_text
from langmodels.text.vocabulary import Vocabulary
from langmodels.text.words import join_words

TEXTS = st.text(st.sampled_from("ab \n\té'<s>.-"), max_size=60)
CHUNKS = st.lists(TEXTS, max_size=6)


# Vocabulary --------------------------------------------------------------------------------


def test_ids_are_specials_first() -> None:
    v = Vocabulary(["b", "a", "b", "<s>"])
    assert v.tokens == ["<unk>", "<s>", "</s>", "b", "a"]
    assert Vocabulary(["b"], ends=False).tokens == ["<unk>", "<s>", "b"]
    assert v.encode(["a", "z", "b", "</s>"]).tolist() == [4, 0, 3, 0]
    assert [v.id(t) for t in ("a", "z", "<s>", "</s>")] == [4, 0, 1, 2]
    assert v.decode([4, 0]) == ["a", "<unk>"]
    assert (v.n_predictable, v.n_special, "a" in v, "z" in v) == (4, 3, True, False)
    with pytest.raises(IndexError):
        v.token(-1)


def test_counts_decide_who_is_in() -> None:
    counts = {"a": 1, "b": 5, "c": 5, "d": 2}
    assert Vocabulary.from_counts(counts).tokens[3:] == ["b", "c", "d", "a"]
    assert Vocabulary.from_counts(counts, min_count=2).tokens[3:] == ["b", "c", "d"]
    assert Vocabulary.from_counts(counts, max_size=1).tokens[3:] == ["b"]
    for bad in ({"min_count": 0}, {"max_size": 0}):
        with pytest.raises(UsageError):
            Vocabulary.from_counts(counts, **bad)


@given(st.lists(st.text(min_size=1), max_size=8), st.booleans())
def test_a_vocabulary_survives_storage(tokens: list[str], ends: bool) -> None:
    v = Vocabulary(tokens, ends=ends)
    assert Vocabulary.from_arrays(v.to_arrays()) == v


def test_a_broken_stored_vocabulary() -> None:
    arrays = Vocabulary(["a", "b"]).to_arrays()
    for broken in (
        {k: v for k, v in arrays.items() if "text" not in k},
        {**arrays, "vocabulary.offsets": np.array([0, 1, 1, 1])},
        {**arrays, "vocabulary.text": np.array([255, 254], np.uint8)},
    ):
        with pytest.raises(LangmodelsError, match="vocabulary"):
            Vocabulary.from_arrays(broken).id("a")


# Tokenizers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't go -- it's 3.5 miles!", ["Don't", "go", "--", "it's", "3.5", "miles", "!"]),
        ("l’été, naïve café", ["l’été", ",", "naïve", "café"]),
        ("'quoted' words...", ["'", "quoted", "'", "words", "..."]),
        ("日本 x_y", ["日", "本", "x", "_", "y"]),
        ("\x00", ["\x00"]),
        ("  \n ", []),
    ],
)
def test_words_are_cut_at_unicode_boundaries(text: str, tokens: list[str]) -> None:
    assert make_tokenizer("word").tokenize(text) == tokens


def test_words_may_be_lower_cased_or_cut_by_a_pattern() -> None:
    assert make_tokenizer("word", lower=True).tokenize("Ab C") == ["ab", "c"]
    assert make_tokenizer("word", pattern=r"\d").tokenize("a1b23") == ["1", "2", "3"]
    for over in (r"\w+(?:\s\w+)*", r"\w+\s*"):
        with pytest.raises(LangmodelsError, match="goes on over the end of a line"):
            Corpus.from_text("a b\nc d\n", make_tokenizer("word", pattern=over))
    whole = Corpus.from_text("a b\nc d\n", make_tokenizer("word", pattern=r"[^ \n]+"))
    assert (whole.n_sequences, whole.n_tokens) == (2, 6)
    for bad in ("(", "(a)(b)"):
        with pytest.raises(UsageError, match="pattern"):
            make_tokenizer("word", pattern=bad)
    with pytest.raises(UsageError, match="level"):
        make_tokenizer("syllables")
    with pytest.raises(UsageError, match="lower"):
        make_tokenizer("char", lower=True)


@given(st.text())
def test_characters_and_bytes_are_reversible(text: str) -> None:
    for level in ("char", "byte"):
        tokenizer = make_tokenizer(level)
        assert tokenizer.detokenize(tokenizer.tokenize(text)) == text


def test_symbols_are_cut_at_white_space_or_by_width() -> None:
    assert make_tokenizer("symbols").tokenize("in out\nin") == ["in", "out", "in"]
    assert list(make_tokenizer("symbols", width=1).tokenize("AC\nGT")) == list("ACGT")
    assert make_tokenizer("symbols", width=3).tokenize("ACG\nTAC G") == ["ACG", "TAC", "G"]
    for options in ({"width": -1}, {"lines": True}):
        with pytest.raises(UsageError):
            make_tokenizer("symbols", **options)


@given(CHUNKS, st.integers(1, 3))
def test_symbols_in_lines_are_sequences(chunks: list[str], width: int) -> None:
    tokenizer = make_tokenizer("symbols", width=width, lines=True)
    chunks = [chunk.replace("<", "") for chunk in chunks]  # no "<s>", which would be <unk>
    lines = ["".join(line.split()) for line in "".join(chunks).split("\n")]
    if not any(lines):
        return
    corpus = Corpus.from_text(iter(chunks), tokenizer)
    found = [corpus.vocabulary.decode(ids) for ids in corpus.sequences()]
    assert ["".join(tokens) for tokens in found] == [line for line in lines if line]
    assert all(len(t) == width for tokens in found for t in tokens[:-1])
    assert corpus.vocabulary.ends


def test_symbols_between_spaces_are_not_cut_in_two() -> None:
    text = " ".join(["login", "logout"] * 50)
    splits = Splits.from_text(text, make_tokenizer("symbols"))
    assert splits.test.n_oov == splits.validation.n_oov == 0
    assert splits.train.vocabulary.tokens[2:] == ["login", "logout"]


def test_words_close_up_into_text() -> None:
    tokens = ["He", "said", ",", '"', "Go", "(", "now", ")", "!", '"', "twice", "."]
    assert join_words(tokens) == 'He said, "Go (now)!" twice.'


@pytest.mark.parametrize(
    "text",
    [
        "„Nein“, sagte der Wind, „ich nicht.“",
        "قال النهر: «لا، أنا أخذت ورقة فقط.»",
        "हर शाम दादा बड़ी रोशनी जलाते थे।",
        "爷爷问：“谁拿走了光？”小米说：“我不知道，ABC 也不知道。”",
        "Le chat dit «miaou», puis “non”.",
        "¿Quién? ¡Nadie!",
    ],
)
def test_words_close_up_in_other_scripts(text: str) -> None:
    tokenizer = make_tokenizer("word")
    assert tokenizer.detokenize(tokenizer.tokenize(text)) == text


# Corpora -----------------------------------------------------------------------------------


def test_boundaries_are_in_place() -> None:
    corpus = Corpus.from_text("a b\n\n \nc a\n", make_tokenizer("word"))
    assert corpus.vocabulary.tokens == ["<unk>", "<s>", "</s>", "a", "b", "c"]
    assert corpus.ids.tolist() == [1, 3, 4, 2, 1, 5, 3, 2]
    assert corpus.offsets.tolist() == [0, 4, 8]
    assert corpus.targets.tolist() == [3, 4, 2, 5, 3, 2]
    assert (corpus.n_tokens, corpus.n_sequences, corpus.n_oov, corpus.n_types) == (6, 2, 0, 3)
    assert [s.tolist() for s in corpus.sequences()] == [[3, 4], [5, 3]]
    stream = Corpus.from_text("ab\n", make_tokenizer("char"))
    assert stream.ids.tolist() == [1, 2, 3, 4]
    assert stream.vocabulary.eos_id is None


def test_unknown_words_and_literal_specials() -> None:
    train = Corpus.from_text("a a b <s> </s> <unk>", make_tokenizer("whitespace"), min_count=2)
    assert train.vocabulary.tokens == ["<unk>", "<s>", "</s>", "a"]
    assert train.ids.tolist() == [1, 3, 3, 0, 0, 0, 0, 2]
    other = Corpus.from_text("a <s> z", train.tokenizer, vocabulary=train.vocabulary)
    assert other.ids.tolist() == [1, 3, 0, 0, 2]
    assert other.n_oov == 2


@pytest.mark.parametrize("level", ["char", "byte", "word", "whitespace", "symbols"])
@given(chunks=CHUNKS)
@pytest.mark.filterwarnings("ignore::langmodels.text.indexing.MarkWarning")
def test_reading_in_pieces_changes_nothing(level: str, chunks: list[str]) -> None:
    tokenizer = make_tokenizer(level)
    text, _ = tokenizer.without_marks("".join(chunks))
    if not tokenizer.tokenize(text):
        with pytest.raises(LangmodelsError, match="no text"):
            Corpus.from_text(iter(chunks), tokenizer)
        return
    whole = Corpus.from_text("".join(chunks), tokenizer, keep_text=True)
    pieces = Corpus.from_text(iter(chunks), tokenizer)
    assert pieces.vocabulary == whole.vocabulary
    assert np.array_equal(pieces.ids, whole.ids)
    assert np.array_equal(pieces.offsets, whole.offsets)
    assert pieces.characters == len(text)
    assert whole.text == text
    # A known vocabulary gives the same ids, and so does the plain way, line by line.
    again = Corpus.from_text(iter(chunks), tokenizer, vocabulary=whole.vocabulary)
    assert np.array_equal(again.ids, whole.ids)
    lines = text.split("\n") if tokenizer.ends else [text]
    expected = [t for t in map(tokenizer.tokenize, lines) if t]
    plain = Corpus.from_sequences(expected, tokenizer, whole.vocabulary)
    assert np.array_equal(plain.ids, whole.ids)
    assert np.array_equal(plain.offsets, whole.offsets)


@pytest.mark.parametrize("level", ["word", "char"])
def test_the_head_of_a_corpus_is_its_first_tokens_or_sequences(level: str) -> None:
    corpus = Corpus.from_text("a b\nc d e\nf\n" * 5, make_tokenizer(level))
    for n in (1, 3, 7, 20, 10_000):
        head = corpus.head(n)
        assert head.ids.tolist() == corpus.ids[: len(head.ids)].tolist()
        assert head.offsets[-1] == len(head.ids)
        if level == "char":
            assert head.n_tokens == min(n, corpus.n_tokens)
        else:
            assert head.n_tokens <= max(n, 3)
            assert head.ids[-1] == corpus.vocabulary.eos_id
    assert corpus.head(1).n_sequences == 1


def test_levels_must_fit_the_vocabulary() -> None:
    words = Corpus.from_text("a b", make_tokenizer("word"))
    with pytest.raises(UsageError, match="fit"):
        Corpus.from_text("a b", make_tokenizer("char"), vocabulary=words.vocabulary)


# Cleaning ----------------------------------------------------------------------------------


def test_the_article_cleaning_joins_lower_case_ascii_lines() -> None:
    chunks = ["  Alice WAS\n\n  béginn", "ing\r\n  \n to\nget"]
    assert "".join(clean(chunks, "article")) == "alice was bginning to get"
    assert "".join(clean(["Ab\n"], "lower")) == "ab\n"
    assert "".join(clean(["Ab\n"], "none")) == "Ab\n"
    with pytest.raises(UsageError, match="cleaning"):
        clean([], "soap")


# Splits ------------------------------------------------------------------------------------


def test_contiguous_parts_are_the_text() -> None:
    text = "".join(chr(97 + i % 26) for i in range(1001))
    parts = split_text(text, fractions=(0.8, 0.1, 0.1))
    assert "".join(parts) == text
    assert [len(p) for p in parts] == [800, 100, 101]  # the last tenth, the rest rounded down


def test_contiguous_parts_of_lines_break_between_lines() -> None:
    text = "".join(f"line number {i}\n" for i in range(100))
    parts = split_text(text, at_breaks=True)
    assert "".join(parts) == text
    assert all(p.endswith("\n") for p in parts)
    one_line = "word " * 100
    assert all(p.endswith(" ") for p in split_text(one_line, at_breaks=True))


def test_drawn_lines_do_not_leak() -> None:
    text = "".join(f"line {i % 60}\n" for i in range(200)) + "last"
    parts = split_text(text, by="lines", seed=1)
    sets = [set(p.splitlines()) for p in parts]
    assert sum(map(len, sets)) == len(set.union(*sets)) == 61
    assert sorted("".join(parts).splitlines()) == sorted(text.splitlines())
    assert split_text(text, by="lines", seed=1) == parts
    assert split_text(text, by="lines", seed=2) != parts
    # A form feed, or what else Python calls the end of a line, is none.
    pages = "".join(f"left {i}\x0cright\u2028end\n" for i in range(50))
    assert all(
        len(line) > 12 for part in split_text(pages, by="lines") for line in part.split("\n")[:-1]
    )


def test_impossible_splits_are_refused() -> None:
    with pytest.raises(UsageError, match="split"):
        split_text("a b c", by="colour")
    for fractions in ((0.5, 0.5, 0.5), (1.0, 0.0, 0.0)):
        with pytest.raises(UsageError, match="sum to 1"):
            split_text("a b c", fractions=fractions)
    with pytest.raises(LangmodelsError, match="too small"):
        split_text("ab")


def test_the_vocabulary_is_the_training_parts() -> None:
    text = "a a b b\n" * 8 + "c\nd d d\n"
    splits = Splits.from_text(text, make_tokenizer("word"), fractions=(0.8, 0.1, 0.1))
    assert splits.train.vocabulary.tokens[3:] == ["a", "b"]
    assert splits.test.n_oov == 4  # c and d d d
    assert splits.train.text is not None
    assert (splits.train.text + splits.validation.text + splits.test.text) == text  # type: ignore[operator]
    cleaned = Splits.from_text(text.upper(), make_tokenizer("char"), cleaning="article")
    assert "\n" not in cleaned.train.vocabulary


@pytest.mark.parametrize(
    ("how", "text", "expected"),
    [
        ("nfc", "cafe\u0301", "caf\u00e9"),
        ("nfkc", "\ufb01ne \u2460", "fine 1"),
        ("accents", "Crème brûlée, Ångström", "Creme brulee, Angstrom"),
        ("digits", "in 1865 or ٣", "in 0000 or 0"),
        ("punctuation", "“Oh – dear…”，he’s", '"Oh - dear...",he\'s'),
        ("nfc+lower", "CAFE\u0301", "caf\u00e9"),
        ("accents+digits+lower", "É 7", "e 0"),
        ("ccnet", "  Le Café N°７ — «déjà»\x01\n ok ", 'le cafe n°0  -  "deja"\nok'),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_normalisation_does_not_depend_on_where_pieces_are_cut(
    how: str, text: str, expected: str, size: int
) -> None:
    """The same wherever the pieces of a text are cut; a combining mark belongs to its letter."""
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert "".join(clean(pieces, how)) == expected
    with pytest.raises(UsageError, match="cleaning"):
        clean([text], how + "+bleach")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("mp3 3rd can't 3.5 1,000", ["mp3", "3rd", "can't", "3.5", "1,000"]),
        ("می\u200cخوانم و", ["می\u200cخوانم", "و"]),  # a zero-width non-joiner inside a word
        ("co\u00adoperate cafe\u0301", ["co\u00adoperate", "cafe\u0301"]),
        ("👨\u200d👩\u200d👧👍🏽 ❤\ufe0f", ["👨\u200d👩\u200d👧", "👍🏽", "❤\ufe0f"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("_very_ well-known -- so...", ["_", "very", "_", "well", "-", "known", "--", "so", "..."]),
        ("カタカナの漢字", ["カタカナ", "の", "漢", "字"]),
        ("the <unk> fox", ["the", "<unk>", "fox"]),
    ],
)
def test_words_are_cut_at_the_boundaries_of_unicode(text: str, tokens: list[str]) -> None:
    tokenizer = make_tokenizer("word")
    assert tokenizer.tokenize(text) == tokens
    assert tokenizer.tokenize_lines(f"{text}\n{text}") == [*tokens, "\n", *tokens]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_all_but_white_space_is_in_a_word(text: str) -> None:
    assert "".join("".join(make_tokenizer("word").tokenize(text)).split()) == "".join(text.split())


def test_files_of_version_0_1_cut_words_as_then() -> None:
    old = restore_tokenizer({"level": "word", "lower": False, "pattern": None})
    assert old.tokenize("mp3") == ["mp", "3"]
    new = make_tokenizer("word")
    assert restore_tokenizer({"level": "word", **new.config()}) == new != old


@pytest.mark.parametrize("level", ["word", "whitespace"])
def test_boundary_marks_around_lines_are_boundaries(level: str) -> None:
    plain = Corpus.from_text("red fox ran\nred <unk> sat\nfox\n", level)
    with pytest.warns(MarkWarning, match="5 boundary marks"):
        marked = Corpus.from_text(
            "<s> red fox ran </s>\n  <s>\tred <unk> sat </s> \n<s> </s>\nfox\n".replace(
                "<s> </s>", "</s>"
            ),
            level,
        )
    assert marked.ids.tolist() == plain.ids.tolist()
    assert marked.vocabulary == plain.vocabulary
    assert (
        marked.reading.encode("<s> red fox </s>").tolist()
        == plain.reading.encode("red fox").tolist()
    )
    inside = plain.reading.sequences(["<s> red fox </s>", "red <s> fox"])
    assert inside.ids.tolist()[:4] == [1, *plain.reading.encode("red fox").tolist(), 2]
    assert plain.reading.encode("red <s> fox" if level == "whitespace" else "red </s> fox")[1] == 0


@pytest.mark.parametrize("level", ["word", "whitespace"])
def test_texts_without_blanks_are_told_of(level: str) -> None:
    with pytest.warns(BlankWarning, match="--level char or --level bpe"):
        Corpus.from_text("我爱北京天安门\n我爱看书\n", level)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Corpus.from_text("我爱北京天安门\n", "char")
        Corpus.from_text("the word 书 means book, l'été is summer\n", level)


@pytest.mark.parametrize("blank_lines", [False, True])
def test_boundaries_do_not_depend_on_where_parts_end(blank_lines: bool) -> None:
    """However a text is cut, its ids are those of its lines one by one."""
    vocabulary = Vocabulary(["red", "fox", "hen"])
    eos, bos = vocabulary.eos_id, vocabulary.bos_id
    rng = np.random.default_rng(2)
    for _ in range(50):
        lines = [rng.integers(3, 6, n).tolist() for n in rng.integers(0, 4, rng.integers(1, 9))]
        flat = [i for line in lines for i in (*line, eos)]
        if rng.random() < 0.5:  # the last line has no end
            flat, lines = flat[:-1], lines if lines[-1] else lines[:-1]
        kept = [bool(line) or blank_lines for line in lines]
        wanted = [[bos, *line, eos] for line, keep in zip(lines, kept, strict=True) if keep]
        cuts = np.sort(rng.integers(0, len(flat) + 1, 3))
        found = with_boundaries(
            list(np.split(np.array(flat, np.uint8), cuts)), vocabulary, blank_lines=blank_lines
        )
        assert found.ids.tolist() == [i for line in wanted for i in line]
        assert found.offsets.tolist() == np.cumsum([0, *map(len, wanted)]).tolist()
        assert found.kept.tolist() == kept
        assert found.ids.dtype == np.int32
