"""Training: batches, optimizers, learning-rate schedules, checkpoints, and the training loop."""
