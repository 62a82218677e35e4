"""Statistical language models, from n-grams to neural networks, behind one interface."""

__version__ = "0.1.0"
