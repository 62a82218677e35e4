"""Estimation of n-gram models from texts larger than memory.

The tokens of a text are partitioned by the word just before them, or by several words where one
occurs too often (`plan`). An n-gram and its suffix then lie in the same partition, contexts are
whole, and only unigrams and counts-of-counts concern the whole text. Each partition is counted
(`counting`) and smoothed by the usual methods (`workplace`), in this process or in others, and a
merge puts the tables in order (`merging`). The result equals that of `NGramModel.fit` bit for bit.
The entry point is in `running`, the sequence of stages in `fitting`.
"""
