"""Where text comes from: files, shipped corpora, generators with known entropy, public books."""

from langmodels.datasets.files import read_chunks, read_text
from langmodels.datasets.sources import Listing, Source, find_source, list_sources

__all__ = ["Listing", "Source", "find_source", "list_sources", "read_chunks", "read_text"]
