"""Lossless compression of files to the cross-entropy of a model."""

from langmodels.compression.codec import Compressed, compress, decompress

__all__ = ["Compressed", "compress", "decompress"]
