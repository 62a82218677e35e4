"""Lossless compression: a text in as many bits as a model finds it surprising."""

from langmodels.compression.codec import Compressed, compress, decompress

__all__ = ["Compressed", "compress", "decompress"]
