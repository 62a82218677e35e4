"""Where in the raw text the tokens of a corpus stand, and what lies between them."""

from dataclasses import dataclass

from langmodels.errors import LangmodelsError
from langmodels.tokenization import Tokenizer
from langmodels.vocabulary import EOS


@dataclass(frozen=True)
class Alignment:
    """A text as its tokens and the gaps that tokenizing lost; the n entries are a model's targets.

    `tokens`: as the model knows them, `</s>` for the end of a line. `surfaces`: as they stand in
    the text, which differs where a tokenizer folds case, and is empty for `</s>`. `gaps`: the
    characters before a token within its line, or, at `</s>`, all from the end of the line to the
    first token of the next; None where a `</s>` has already paid for them. `ends`: characters of
    the text up to and with each target. `lead` and `tail`: what stands before the first target and
    after the last.
    """

    tokens: list[str]
    surfaces: list[str]
    gaps: list[str | None]
    ends: list[int]
    lead: str
    tail: str


def align(text: str, tokenizer: Tokenizer) -> Alignment:
    """Find every token of a text again.

    Raises LangmodelsError for a tokenizer whose tokens are not in the text, in order.
    """
    folded = text.lower() if getattr(tokenizer, "lower", False) else text
    found = Alignment([], [], [], [], "", "")
    lead = ""
    position = 0
    line_ended = False

    def add(token: str, gap: str | None, end: int) -> None:
        found.tokens.append(token)
        found.surfaces.append("" if token == EOS else text[position:end])
        found.gaps.append(gap)
        found.ends.append(end)

    for token in tokenizer.tokenize_lines(text):
        if tokenizer.ends and token == tokenizer.line_end:
            line_ended = bool(found.tokens)  # blank lines are not sequences
            continue
        start = folded.find(token, position)
        if start < 0 or len(folded) != len(text):
            raise LangmodelsError(
                "Bits per character need tokens that stand in the text in their order; "
                f"{token!r} does not."
            )
        gap: str | None = text[position:start]
        position = start
        if not found.tokens:
            lead, gap = str(gap), None
        elif line_ended:
            add(EOS, gap, start)
            gap = None
        line_ended = False
        add(token, gap, start + len(token))
        position = start + len(token)
    tail = text[position:]
    if tokenizer.ends and found.tokens:
        position = len(text)
        add(EOS, tail, len(text))
        tail = ""
    return Alignment(found.tokens, found.surfaces, found.gaps, found.ends, lead, tail)
