"""Filtering collections of documents by the scores that models give them.

Every file of documents is a task: its documents are scored, and the scores are kept in a file
beside the output. The thresholds come from the scores of all files, and then every file's documents
are written. A later run does not repeat what is finished.
"""

from langmodels.filtering.report import FilterReport, write_page
from langmodels.filtering.rules import Rule
from langmodels.filtering.running import filter_documents

__all__ = ["FilterReport", "Rule", "filter_documents", "write_page"]
