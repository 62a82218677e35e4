"""Neural language models: layers, training and models, forward and backward by hand in NumPy."""
