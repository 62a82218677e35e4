"""Encoder-decoders, which turn one sequence into another."""
