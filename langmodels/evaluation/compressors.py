"""The compressors of the standard library, to hold models against."""

import bz2
import lzma
import zlib
from collections.abc import Callable

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": lambda data: zlib.compress(data, 9),
    "bz2": lambda data: bz2.compress(data, 9),
    "xz": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
}
"""By name, each as it compresses best: `gzip -9` (whose header is longer), `bzip2 -9`, `xz -9e`."""


def compressed_sizes(data: bytes) -> dict[str, int]:
    """Bytes that each of `COMPRESSORS` makes of a file."""
    return {name: len(compressor(data)) for name, compressor in COMPRESSORS.items()}
