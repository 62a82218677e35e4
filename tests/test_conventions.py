"""Conventions of other tools: with and without boundaries, unknown words, ends of lines."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from ngram_data import KENLM3, scored

import langmodels
from langmodels.cli.main import main
from langmodels.errors import UsageError
from langmodels.models.lines import score_batch
from langmodels.registry import load, make_model

KENLM = {
    "' one of the jury asked .": (-11.835163, -11.834781, -13.359735, -13.359352),
    "the zebra said": (-12.844423, -8.739916, -12.946995, -8.842487),
    "` i can't go no lower , ' said the hatter": (
        -21.388676, -17.181736, -24.086971, -19.880032,
    ),
}  # fmt: skip
"""log10 p by KenLM's `Model.score` on that ARPA file: with both marks, without </s>, without <s>,
with neither."""


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("eos", [True, False])
def test_boundaries_are_left_out_as_kenlm_leaves_them_out(bos: bool, eos: bool) -> None:
    model = load(KENLM3)
    found = score_batch(model, list(KENLM), bos=bos, eos=eos)
    expected = [scores[2 * (not bos) + (not eos)] for scores in KENLM.values()]
    assert found.totals / math.log(10) == pytest.approx(expected, abs=1e-5)
    assert found.n_tokens.tolist() == [len(line.split()) + eos for line in KENLM]


def test_perplexities_are_srilms_and_kenlms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SRILM's ppl and ppl1 leave unknown words out, ppl1 does not count ends; see its FAQ."""
    rows = scored(3)
    (tmp_path / "test.txt").write_text("".join(f"{row.sentence}\n" for row in rows))
    command = ["score", str(KENLM3), "--file", str(tmp_path / "test.txt"), "--summary"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    log10 = np.concatenate([row.tokens for row in rows])
    vocabulary = load(KENLM3).vocabulary
    targets = [word for row in rows for word in [*row.sentence.split(), "</s>"]]
    unknown = np.array([word not in vocabulary for word in targets])
    assert unknown.sum() == sum(row.n_oov for row in rows) > 0
    words, sentences, oovs = len(log10) - len(rows), len(rows), int(unknown.sum())
    known = float(log10[~unknown].sum())
    assert found["perplexity"] == pytest.approx(10 ** (-log10.sum() / len(log10)), rel=1e-5)
    ppl = 10 ** (-known / (words - oovs + sentences))
    ppl1 = 10 ** (-known / (words - oovs))
    assert found["perplexity_without_oov"] == pytest.approx(ppl, rel=1e-5)
    assert found["ppl1_without_oov"] == pytest.approx(ppl1, rel=1e-5)
    assert found["ppl1"] == pytest.approx(10 ** (-log10.sum() / words), rel=1e-5)
    assert main(command) == 0
    assert f"ppl1 {found['ppl1']:.2f} (" in " ".join(capsys.readouterr().out.split())
    assert main([*command, "--json", "--no-eos"]) == 0
    without = json.loads(capsys.readouterr().out)
    assert without["tokens"] == words
    assert without["ppl1"] == without["perplexity"]


def test_what_cannot_be_left_out_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = langmodels.find_source("wonderland.txt").read()[:3000]
    unigram = make_model("unigram").fit(text)
    both = [score_batch(unigram, ["the stair"], bos=bos).totals[0] for bos in (True, False)]
    assert both[0] == both[1]
    for model in (make_model("full-context").fit(text), make_model("cache:order=2").fit(text)):
        with pytest.raises(UsageError, match="only n-gram models"):
            score_batch(model, ["the stair"], bos=False)
    unigram.save("unigram.lm")
    assert main(["score", "unigram.lm", "the stair", "--no-bos", "--carry"]) == 2
    assert "carried" in capsys.readouterr().err
    found = score_batch(make_model("full-context").fit(text), ["the stair", ""], eos=False)
    assert found.n_tokens.tolist() == [2, 0]
