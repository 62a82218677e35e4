"""Text and how it is read: cleaning, tokenization, vocabularies, corpora and splits."""
