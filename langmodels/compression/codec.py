"""Files: a header that says what is needed to read on, then one arithmetic code."""

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
_CARRIED = 1  # among the flags
_AT_ONCE = 512  # tokens between two reports of progress


@dataclass(frozen=True)
class Compressed:
    """A compressed file.

    `bits`: what the model's tokens and the residue cost by their probabilities; `residue_bits` is
    the latter's part; `n_tokens` were predicted. `by_bytes`: whether the file was written byte by
    byte, by a model that learns as it reads, since the reading of the model given cannot be undone.
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
    """What tells a model from others: a hash of all that its file would hold, 8 bytes."""
    metadata, arrays = pack(model)
    found = hashlib.sha256(repr(sorted(metadata.items())).encode("utf-8", "surrogatepass"))
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.digest()[:8]


def compress(data: bytes, model: AnyModel | None = None, *, carry: bool = False) -> Compressed:
    """Write any file in as many bits as a model finds its tokens surprising, and some 30 bytes.

    Without a model, one of bytes that starts from nothing and learns as it reads. Scores that do
    not sum to one are normalized first; what has probability zero costs 32 bits. What the reading
    of the model loses (blanks, unknown words, capitals) is written by the model of bytes. With
    `carry`, lines are one document, over which state is carried.
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
    """The file that was compressed with this model, or with none.

    Raises LangmodelsError where it is damaged, was written with another model, or where the model
    gives other probabilities here than there: exponentials and sums of floats differ in their last
    digits between some processors and versions of NumPy.
    """
    if not packed.startswith(_MAGIC):
        raise LangmodelsError("This is no file that `langmodels compress` wrote.")
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
        raise LangmodelsError("The compressed file says of its text what cannot be; it is damaged.")
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
    """Write the targets of sequences; return the bits that their probabilities come to."""
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
    """Read what `_write` wrote."""
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
    """What each token has of the numbers of the code."""
    if isinstance(model, AdaptiveModel):
        return Listed(model.outcomes(state), len(model.vocabulary))
    return Table(model.log_distribution(state), model.vocabulary.bos_id)


def _bytes_as_tokens(data: bytes) -> Sequences:
    """Bytes as the model of bytes numbers them."""
    found = cut(data, byte_model().reading)
    assert found is not None, "bytes are bytes"
    return found.sequences


def _tokens_as_bytes(text: Sequences) -> bytes:
    return restore(Cut(text, b""), byte_model().reading)


def _varint(number: int) -> bytes:
    """A whole number in groups of seven bits, the last one first."""
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    """A whole number, and where it ends."""
    number = shift = 0
    while data[place] >= 128:
        number |= (data[place] & 127) << shift
        shift += 7
        place += 1
    return number | data[place] << shift, place + 1
