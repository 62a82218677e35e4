"""The compressors of the standard library, as baselines."""

import bz2
import lzma
import zlib
from collections.abc import Callable

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": lambda data: zlib.compress(data, 9),
    "bz2": lambda data: bz2.compress(data, 9),
    "xz": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
}
"""By name, at the strongest setting: as `gzip -9` (with a shorter header), `bzip2 -9`, `xz -9e`."""


def compressed_sizes(data: bytes) -> dict[str, int]:
    """The size in bytes of data compressed by each of `COMPRESSORS`."""
    return {name: len(compressor(data)) for name, compressor in COMPRESSORS.items()}
