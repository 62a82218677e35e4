"""How models are written to files and pickled, and how they are read back."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from langmodels.arrays import Array
from langmodels.errors import LangmodelsError
from langmodels.kinds import find_kind
from langmodels.storage import read_json
from langmodels.tensors import Origin, open_arrays
from langmodels.text.reading import Reading

if TYPE_CHECKING:
    from langmodels.models.model import Model

FORMAT_VERSION = "1"


def pack(model: "Model") -> tuple[dict[str, str], dict[str, Array]]:
    """A model as string metadata and arrays, the contents of its file."""
    reading = model.reading  # raises for a model that is not fitted
    metadata = {
        "format": "langmodels",
        "format_version": FORMAT_VERSION,
        "kind": model.kind,
        "config": json.dumps(model.config()),
        **reading.metadata(),
    }
    return metadata, {**reading.arrays(), **model.arrays()}


@dataclass(frozen=True)
class ModelFile:
    """The mapped file that a model was opened from."""

    origin: Origin
    metadata: Mapping[str, str]
    arrays: Mapping[str, Array]

    def holds(self, metadata: Mapping[str, str], arrays: Mapping[str, Array]) -> bool:
        """Whether the file is unchanged, and holds just this metadata and these arrays."""
        return (
            dict(metadata) == dict(self.metadata)
            and arrays.keys() == self.arrays.keys()
            and self.origin.is_there()
            and all(_same(arrays[name], array) for name, array in self.arrays.items())
        )


def _same(one: Array, other: Array) -> bool:
    """Whether two arrays are equal, bit for bit; an array is not read to compare it with itself."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.ctypes.data == other.ctypes.data and one.strides == other.strides:
        return True
    return one.tobytes() == other.tobytes()


def read_model(path: str | os.PathLike[str], *, mmap: bool = True) -> "Model":
    """Open a model file of any kind; see `Model.load`."""
    metadata, arrays = open_arrays(path, mmap=mmap)
    model = unpack(metadata, arrays, name=str(path))
    if mmap and arrays.origin is not None:
        model._file = ModelFile(arrays.origin, metadata, arrays)
    return model


def pickled(model: "Model") -> tuple[Any, ...]:
    """How a fitted model is pickled: what `__reduce_ex__` returns.

    A model that was opened from a file and is unchanged is pickled as the file's path, so that
    processes of one machine share the mapped arrays; any other as the contents of its file. Its
    class and those of its parts are pickled by name, so that the receiving process imports them.
    """
    classes, metadata, arrays = _classes(model), *pack(model)
    if model._file is not None and model._file.holds(metadata, arrays):
        return _opened, (classes, model._file.origin)
    return _unpacked, (classes, metadata, {n: np.asarray(a) for n, a in arrays.items()})


def _classes(model: "Model") -> list[type["Model"]]:
    return [type(model), *(cls for part in model.parts for cls in _classes(part))]


def _opened(_: list[type["Model"]], origin: Origin) -> "Model":
    """The model that was pickled as the path of its file.

    Raises LangmodelsError where the file has changed.
    """
    if not origin.is_there():
        raise LangmodelsError(
            f"The model in {origin.path} was handed on by this path, but the file has changed."
        )
    return read_model(origin.path)


def _unpacked(
    _: list[type["Model"]], metadata: Mapping[str, str], arrays: Mapping[str, Array]
) -> "Model":
    """The model that was pickled as the contents of a file."""
    return unpack(metadata, arrays, "The pickled model")


def unpack(
    metadata: Mapping[str, str], arrays: Mapping[str, Array], name: str = "The file"
) -> "Model":
    """Inverse of `pack`. Raises LangmodelsError, which names the file, where the contents are not a
    valid model.
    """
    if metadata.get("format") != "langmodels":
        raise LangmodelsError(f"{name} is a safetensors file, but not a langmodels model.")
    if metadata.get("format_version") != FORMAT_VERSION:
        raise LangmodelsError(
            f"{name} has format version {metadata.get('format_version')}; this langmodels reads "
            f"version {FORMAT_VERSION}. Train it again or use the version that wrote it."
        )
    try:
        reading = Reading.restore(metadata, arrays)
        config = read_json(metadata["config"])
        return revive(metadata.get("kind", ""), config, arrays, reading)
    except LangmodelsError as error:
        raise LangmodelsError(f"{name} is not a whole model file: {error}") from error
    except (ArithmeticError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise LangmodelsError(f"{name} is not a whole model file: {error!r}.") from error


def revive(
    kind: str, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading
) -> "Model":
    """The fitted model of a kind. Raises LangmodelsError for an unknown kind."""
    found: type[Model] | None = find_kind(kind)
    if found is None:
        raise LangmodelsError(
            f"there is no model of the kind {kind!r}: the file is of another version, or of a "
            "package that is not here (langmodels.load asks all that are installed)."
        )
    model = found.restore(config, arrays, reading)
    model.reading = reading
    return model
