"""Damaged files of every format: each gives an error, or a model whose distributions sum to one.

`python -m tests.faults --cases 100000` makes so many, each from a seed, and counts what comes of
them; the tests make some hundreds.
"""
