"""Training: batches, optimizers, schedules, checkpoints and the loop over them."""
