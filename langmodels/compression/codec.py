"""The compressed file format: a header, then a single arithmetic code.

The header holds magic number, CRC-32 of what follows it, fingerprint of the model, CRC-32 of the
original file, flags, and the lengths of residue (bytes) and text (sequences, tokens) as varints.
"""

import hashlib
import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from langmodels.compression.arithmetic import Decoder, Encoder, Listed, Sizes, Table
from langmodels.compression.residue import Cut, cut, restore
from langmodels.errors import LangmodelsError, UsageError
from langmodels.fullcontext import AdaptiveModel
from langmodels.memory import without_cycles
from langmodels.models.base import LanguageModel
from langmodels.models.files import pack
from langmodels.progress import track
from langmodels.text.reading import Reading
from langmodels.text.sequences import Sequences
from langmodels.text.tokenization import ByteTokenizer
from langmodels.text.vocabulary import Vocabulary

AnyModel = LanguageModel[Any]

_MAGIC = b"LMZ\x01"
_CARRIED = 1  # bit of the flags: state is carried from line to line
_AT_ONCE = 512  # tokens between two reports of progress


@dataclass(frozen=True)
class Compressed:
    """A compressed file, and what it cost.

    `data` is the file. `bits` is the information content, -log2 p, of all tokens and of the
    residue; `residue_bits` is the residue's share of it. `n_tokens` is the number of tokens that
    were predicted. `by_bytes` is True if the tokenization of the given model cannot be inverted
    for this text, so that the adaptive model of bytes was used instead.
    """

    data: bytes
    bits: float
    residue_bits: float
    n_tokens: int
    by_bytes: bool = False


def byte_model() -> AdaptiveModel:
    """A full-context model of bytes that has read nothing yet."""
    vocabulary = Vocabulary(map(chr, range(256)), ends=False)
    return AdaptiveModel.of(Reading(ByteTokenizer(), vocabulary))


def fingerprint(model: AnyModel) -> bytes:
    """Return 8 bytes that identify a model: the start of a SHA-256 of its metadata and arrays."""
    metadata, arrays = pack(model)
    found = hashlib.sha256(repr(sorted(metadata.items())).encode("utf-8", "surrogatepass"))
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.digest()[:8]


def compress(data: bytes, model: AnyModel | None = None, *, carry: bool = False) -> Compressed:
    """Compress any file to about its surprisal under a model, plus some 30 bytes.

    Without a model, an adaptive model of bytes is used, which starts untrained and learns from what
    it has coded so far. Scores that do not sum to one are normalized first. A token of probability
    zero costs 32 bits. What tokenization loses (blanks, unknown words, capitals) is the residue,
    coded by the adaptive model of bytes. With `carry`, all lines are one document and the state of
    the model is carried from each line to the next.
    """
    model = byte_model() if model is None else model.normalized()
    found = cut(data, model.reading)
    by_bytes = found is None
    if found is None:
        model = byte_model()
        found = cut(data, model.reading)
        assert found is not None, "bytes are bytes"
    encoder = Encoder()
    residue = _bytes_as_tokens(found.residue)
    residue_bits = _write(byte_model(), residue, encoder, carry=False)
    bits = residue_bits + _write(model, found.sequences, encoder, carry=carry)
    body = fingerprint(model) + zlib.crc32(data).to_bytes(4, "big") + bytes([_CARRIED * carry])
    for number in (len(found.residue), found.sequences.n_sequences, found.sequences.n_tokens):
        body += _varint(number)
    body += encoder.finish()
    packed = _MAGIC + zlib.crc32(body).to_bytes(4, "big") + body
    return Compressed(packed, bits, residue_bits, found.sequences.n_tokens, by_bytes)


def decompress(packed: bytes, model: AnyModel | None = None) -> bytes:
    """Return the original file, given the model that compressed it (None if there was none).

    Raises LangmodelsError if the compressed file is damaged, if it was compressed with another
    model, or if the model computes slightly different probabilities on this machine: exponentials
    and sums of floats differ in their last digits between some processors and versions of NumPy.
    """
    if not packed.startswith(_MAGIC):
        raise LangmodelsError("This file was not written by `langmodels compress`.")
    body = packed[8:]
    if zlib.crc32(body).to_bytes(4, "big") != packed[4:8]:
        raise LangmodelsError("The compressed file is damaged or cut short; fetch it again.")
    plain = byte_model()
    given = plain if model is None else model.normalized()
    if body[:8] == fingerprint(plain):
        given = plain
    elif body[:8] != fingerprint(given):
        what = "with a model; give it by --model" if model is None else "with another model"
        raise UsageError(f"The file was compressed {what}.")
    checksum, carry, place = body[8:12], bool(body[12] & _CARRIED), 13
    numbers = []
    try:
        for _ in range(3):
            number, place = _read_varint(body, place)
            numbers.append(number)
    except IndexError:
        raise LangmodelsError("The compressed file ends in its header; it is damaged.") from None
    n_residue, n_sequences, n_tokens = numbers
    if n_sequences > n_tokens + 1 or max(numbers) >= 1 << 63:
        raise LangmodelsError("The header of the compressed file is contradictory; it is damaged.")
    decoder = Decoder(body[place:])
    try:
        residue = _read(plain, decoder, int(n_residue > 0), n_residue, carry=False)
        sequences = _read(given, decoder, n_sequences, n_tokens, carry=carry)
    except EOFError:
        raise LangmodelsError(
            "The compressed file ends before its text does: it is damaged, or the model gives "
            "other probabilities here than where it was compressed."
        ) from None
    try:
        data = restore(Cut(sequences, _tokens_as_bytes(residue)), given.reading)
    except LangmodelsError:
        data = b""
    if zlib.crc32(data).to_bytes(4, "big") != checksum:
        raise LangmodelsError(
            "The model gives other probabilities here than where the file was compressed; "
            "decompress it there, or with the same versions of Python's libraries."
        )
    return data


def _write(model: AnyModel, text: Sequences, encoder: Encoder, *, carry: bool) -> float:
    """Code the targets of all sequences; return their information content in bits."""
    nats, last = 0.0, 0
    state: Any = None
    with track("Compressing", total=text.n_tokens) as meter, without_cycles():
        for ids in text.whole():
            state = model.start() if state is None or not carry else model.start_after(state, last)
            tokens = ids[1:].tolist()
            for k, token in enumerate(tokens, 1):
                p = encoder.write(_sizes(model, state), token)
                nats -= math.log(p) if p else -math.inf
                if k < len(tokens):
                    state = model.advance(state, token)
                if k % _AT_ONCE == 0:
                    meter.advance(_AT_ONCE)
            last = int(ids[-1])
            meter.advance(len(tokens) % _AT_ONCE)
    return nats / math.log(2)


def _read(
    model: AnyModel, decoder: Decoder, n_sequences: int, n_tokens: int, *, carry: bool
) -> Sequences:
    """Inverse of `_write`: decode the sequences, `n_tokens` targets in all."""
    bos, eos = model.vocabulary.bos_id, model.vocabulary.eos_id
    parts: list[list[int]] = []
    state: Any = None
    left, last = n_tokens, 0
    with track("Decompressing", total=n_tokens) as meter, without_cycles():
        for _ in range(n_sequences):
            state = model.start() if state is None or not carry else model.start_after(state, last)
            ids = [bos]
            while left:
                last = decoder.read(_sizes(model, state))
                ids.append(last)
                left -= 1
                if left % _AT_ONCE == 0:
                    meter.advance(_AT_ONCE)
                if last == eos or not left:
                    break
                state = model.advance(state, last)
            parts.append(ids)
    offsets = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    flat = np.fromiter((token for ids in parts for token in ids), np.int32, int(offsets[-1]))
    return Sequences(flat, offsets)


def _sizes(model: AnyModel, state: Any) -> Sizes:
    """Return the cumulative frequencies of the tokens that may follow a state."""
    if isinstance(model, AdaptiveModel):
        return Listed(model.outcomes(state), len(model.vocabulary))
    return Table(model.log_distribution(state), model.vocabulary.bos_id)


def _bytes_as_tokens(data: bytes) -> Sequences:
    """Return bytes as a text of the model of bytes, a token each."""
    found = cut(data, byte_model().reading)
    assert found is not None, "bytes are bytes"
    return found.sequences


def _tokens_as_bytes(text: Sequences) -> bytes:
    return restore(Cut(text, b""), byte_model().reading)


def _varint(number: int) -> bytes:
    """Encode an integer as LEB128: seven bits a byte, least significant first."""
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    """Decode an integer that `_varint` wrote at `place`; return it and the place after it."""
    number = shift = 0
    while data[place] >= 128:
        number |= (data[place] & 127) << shift
        shift += 7
        place += 1
    return number | data[place] << shift, place + 1
