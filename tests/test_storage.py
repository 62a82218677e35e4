import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from langmodels.errors import LangmodelsError
from langmodels.storage import atomic_write, open_arrays, save_arrays

ARRAYS: dict[str, Any] = {
    "ids": np.arange(7, dtype=np.int32),
    "matrix": np.arange(6, dtype=np.float64).reshape(2, 3).T,
    "scalar": np.array(2.5, np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "flags": np.array([True, False]),
    "bytes": np.frombuffer(b"abc", np.uint8),
    "big-endian": np.arange(3, dtype=">i4"),
}


def test_arrays_and_metadata_come_back_mapped_and_read_only(tmp_path: Path) -> None:
    save_arrays(tmp_path / "x", ARRAYS, {"kind": "été"})
    metadata, arrays = open_arrays(tmp_path / "x")
    assert metadata == {"kind": "été"}
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert np.array_equal(arrays[name], array)
        assert not arrays[name].flags.writeable
        assert arrays[name].flags.aligned


def test_other_readers_of_the_format_agree(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    save_arrays(tmp_path / "ours", ARRAYS, {})
    for name, array in safetensors.load_file(tmp_path / "ours").items():
        assert np.array_equal(array, ARRAYS[name])
    theirs = {"a": np.arange(4, dtype=np.float32), "b": np.ones((2, 2), np.int64)}
    safetensors.save_file(theirs, tmp_path / "theirs", {"k": "v"})
    metadata, arrays = open_arrays(tmp_path / "theirs")
    assert metadata == {"k": "v"}
    assert all(np.array_equal(arrays[n], theirs[n]) for n in theirs)


def test_a_dtype_that_cannot_be_stored(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="complex"):
        save_arrays(tmp_path / "x", {"z": np.zeros(2, complex)}, {})
    assert list(tmp_path.iterdir()) == []


def entry(dtype: str = "I32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps(entry(dtype="X9")).encode(),
        json.dumps(entry(shape=(3,))).encode(),
        json.dumps(entry(shape=(-2,), offsets=(8, 0))).encode(),
        json.dumps(entry(shape=(10**12,), offsets=(0, 4 * 10**12))).encode(),
        json.dumps(entry(offsets=(4, 12))).encode(),
        json.dumps(entry(offsets=(-8, 0))).encode(),
        json.dumps({"a": 3}).encode(),
        json.dumps({"__metadata__": 3}).encode(),
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "bad"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(LangmodelsError, match="bad"):
        open_arrays(path)


def test_a_header_longer_than_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_bytes((2**63).to_bytes(8, "little") + b"{}")
    with pytest.raises(LangmodelsError, match="header"):
        open_arrays(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(LangmodelsError, match="There is no file"):
        open_arrays(tmp_path / "none")
    with pytest.raises(LangmodelsError, match="Cannot read"):
        open_arrays(tmp_path)
    with pytest.raises(LangmodelsError, match="folder"), atomic_write(tmp_path):
        pass
    with pytest.raises(LangmodelsError, match="Cannot write"), atomic_write(tmp_path / "no" / "x"):
        pass


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"old")

    def write(error: BaseException) -> None:
        with atomic_write(path) as file:
            file.write(b"new")
            raise error

    for error in (KeyboardInterrupt(), RuntimeError()):
        with pytest.raises(type(error)):
            write(error)
    with pytest.raises(LangmodelsError, match="unchanged"), atomic_write(path):
        raise OSError(28, "No space left on device")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_links_and_pipes_keep_their_place(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with atomic_write(pipe) as file:
        file.write(b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert pipe.is_fifo()
    assert {p.name for p in tmp_path.iterdir()} == {"real", "link", "pipe"}
