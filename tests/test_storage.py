import json
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from langmodels.errors import LangmodelsError
from langmodels.storage import atomic_write, check_writable, read_json
from langmodels.tensors import open_arrays, save_arrays

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
        b'{"a":{"dtype":"I32","shape":[Infinity],"data_offsets":[0,8]}}',
        b'{"a":{"dtype":"I32","shape":[2],"data_offsets":[0,1e999]}}',
        json.dumps(entry(shape=(2.0,))).encode(),
        json.dumps(entry(shape=(True,), offsets=(0, 4))).encode(),
        json.dumps(entry(shape=[1] * 70 + [2])).encode(),
        json.dumps(entry(shape=(0, 2**62), offsets=(0, 0))).encode(),
        json.dumps(entry(shape=(2**40, 0, 2**40), offsets=(0, 0))).encode(),
        b'{"a":{"dtype":"I32","shape":[' + b"9" * 4000 + b'],"data_offsets":[0,8]}}',
        b'{"__metadata__":{"crc32":"[1]"}}',
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


def test_much_json_is_refused_before_it_is_read() -> None:
    assert read_json('{"a": "' + "[" * 10_000_000 + '"}') == {"a": "[" * 10_000_000}
    for text in ("[[],[" * 2_000_000, "1," * 4_000_000, "9" * 65, "[" * 100_000):
        with pytest.raises(ValueError, match=r"JSON|digits|deeply"):
            read_json(text)


def test_arrays_that_do_not_lie_well_are_copied(tmp_path: Path) -> None:
    """The format allows any order; mapped arrays may then begin at odd places."""
    header = {
        "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
        "b": {"dtype": "F64", "shape": [2], "data_offsets": [1, 17]},
    }
    text = json.dumps(header).encode()
    values = np.array([1.5, -2.5])
    (tmp_path / "x").write_bytes(len(text).to_bytes(8, "little") + text + b"\7" + values.tobytes())
    _, arrays = open_arrays(tmp_path / "x")
    assert np.array_equal(arrays["b"], values)
    assert arrays["b"].flags.aligned
    assert not arrays["b"].flags.writeable
    assert memoryview(arrays["b"]).tolist() == values.tolist()


def test_every_byte_of_the_arrays_counts(tmp_path: Path) -> None:
    path = tmp_path / "x"
    save_arrays(path, ARRAYS, {})
    data = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    for at in range(begin, len(data)):
        data[at] ^= 1
        path.write_bytes(data)
        with pytest.raises(LangmodelsError, match=r"is damaged: the array '[a-z-]+' is not what"):
            open_arrays(path)
        data[at] ^= 1


def test_large_arrays_are_verified_when_asked(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("langmodels.tensors._VERIFIED", 10)
    path = tmp_path / "x"
    save_arrays(path, {"part.a": np.arange(5), "b": np.arange(5)}, {})
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # of the last by name, part.a
    path.write_bytes(data)
    _, arrays = open_arrays(path)
    arrays.under("none.").verify()
    with pytest.raises(LangmodelsError, match="'a'"):
        arrays.under("part.").verify()
    with pytest.raises(LangmodelsError, match=r"'part\.a'"):
        arrays.verify()


def test_a_file_that_is_read_may_change_afterwards(tmp_path: Path) -> None:
    save_arrays(tmp_path / "x", ARRAYS, {})
    _, arrays = open_arrays(tmp_path / "x", mmap=False)
    with (tmp_path / "x").open("r+b") as file:
        file.truncate(10)
    for name, array in ARRAYS.items():
        assert np.array_equal(arrays[name], array)
        assert not arrays[name].flags.writeable


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(LangmodelsError, match="There is no file"):
        open_arrays(tmp_path / "none")
    with pytest.raises(LangmodelsError, match="Cannot read"):
        open_arrays(tmp_path)
    with pytest.raises(LangmodelsError, match="folder"), atomic_write(tmp_path):
        pass
    with pytest.raises(LangmodelsError, match="Cannot write"), atomic_write(tmp_path / "no" / "x"):
        pass


def test_an_address_is_no_path_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_arrays(path, {"a": np.arange(3)}, {})
    for use in (check_writable, open_arrays):
        with pytest.raises(LangmodelsError, match="is an address, where a path is needed"):
            use(path.as_uri())


def test_a_file_that_an_unused_model_maps_is_replaced(tmp_path: Path, monkeypatch: Any) -> None:
    """As Windows refuses it, until there is no such model any more."""

    class Model:
        def __init__(self) -> None:
            self.itself = self

    model: Model | None = Model()
    alive = weakref.ref(model)
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if alive() is not None:
            raise PermissionError(13, "Access is denied")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(LangmodelsError, match="Access is denied"), atomic_write(tmp_path / "m"):
        pass
    model = None
    with atomic_write(tmp_path / "m") as file:
        file.write(b"new")
    assert (tmp_path / "m").read_bytes() == b"new"
    assert alive() is None


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


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_a_replaced_file_hands_on_its_mode(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        for mode in (None, 0o600, 0o664, 0o444):
            if mode is not None:
                (tmp_path / "x").chmod(mode)
            with atomic_write(tmp_path / "x") as file:
                file.write(b"new")
            assert (tmp_path / "x").stat().st_mode & 0o777 == (0o640 if mode is None else mode)
    finally:
        os.umask(old)


def test_names_as_long_as_a_file_system_allows(tmp_path: Path) -> None:
    for name in ("x" * 250, "é" * 120):
        check_writable(tmp_path / name)
        with atomic_write(tmp_path / name) as file:
            file.write(b"new")
        assert (tmp_path / name).read_bytes() == b"new"
    with pytest.raises(LangmodelsError, match="Cannot write"):
        check_writable(tmp_path / ("x" * 300))
    with pytest.raises(LangmodelsError, match="no folder"):
        check_writable(tmp_path / "no" / "x")
    assert len(list(tmp_path.iterdir())) == 2


WRITER = """
import sys
from langmodels.storage import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    sys.stdin.readline()
"""


def test_what_killed_writers_leave_is_removed_and_what_others_write_is_not(tmp_path: Path) -> None:
    target = tmp_path / "model.lm"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(target)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
    (tmp_path / ".model.lm.settings").write_bytes(b"somebody's")
    (tmp_path / ".model.lm2.0123abcd.tmp").write_bytes(b"of another file")
    assert len(list(tmp_path.iterdir())) == 4
    writers[0].kill()
    writers[0].communicate()
    with atomic_write(target) as file:
        file.write(b"whole")
    assert target.read_bytes() == b"whole"
    assert len(list(tmp_path.iterdir())) == 4  # one of them the file itself
    writers[1].communicate(b"go on\n")
    assert writers[1].returncode == 0
    assert target.read_bytes() == b"half"
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"model.lm", ".model.lm.settings", ".model.lm2.0123abcd.tmp"}
