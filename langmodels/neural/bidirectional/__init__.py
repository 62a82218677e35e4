"""The bidirectional recurrent model, which predicts a token from the text on both sides."""
