"""Filtering collections of documents by what models make of them.

Every file of documents is a task: its documents are scored, the scores are kept in a file beside
the output, and from all scores together come the thresholds by which documents are written. What is
finished is not done again.
"""

from langmodels.filtering.report import FilterReport, write_page
from langmodels.filtering.rules import Rule
from langmodels.filtering.running import filter_documents

__all__ = ["FilterReport", "Rule", "filter_documents", "write_page"]
