"""Tables that no counts are behind: read from a file, or put together from other models."""

from langmodels.errors import UsageError
from langmodels.ngram.counting import NGramCounts
from langmodels.ngram.smoothing import Smoothing
from langmodels.ngram.tables import NGramTables


class Given(Smoothing):
    """Probabilities as they were given; there is nothing to estimate."""

    name = "given"

    def estimate(self, counts: NGramCounts) -> NGramTables:
        """Raises UsageError: name a method to fit a model with."""
        raise UsageError(
            "This model was made from given tables and cannot be fitted; make a new one with a "
            "smoothing method."
        )
