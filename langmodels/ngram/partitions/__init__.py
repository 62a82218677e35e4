"""Estimation of n-gram models past memory.

The tokens of a text are divided by the word just before them, or by several words where one alone
would be too much (`plan`). An n-gram and its suffix then lie in the same partition, contexts are
whole, and only unigrams and counts of counts are of the whole text. Each partition is counted
(`counting`) and smoothed by the methods that smooth whole texts (`workplace`), here or in other
processes, and one walk puts the tables in order (`merging`). The result is that of
`NGramModel.fit`, bit for bit. `running` has what people call, `fitting` the stages.
"""
