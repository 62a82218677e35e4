"""Recurrent language models: RNN, LSTM, GRU, and variants with other inputs."""
