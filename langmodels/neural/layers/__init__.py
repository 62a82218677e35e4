"""Layers: parameters, a forward pass and a hand-written backward pass."""
