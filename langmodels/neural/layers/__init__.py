"""Layers: parameters, a forward pass, and the gradient of it by hand."""
