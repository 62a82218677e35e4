"""Text and how it is read: cleaning, tokens, vocabularies, corpora and their parts."""
