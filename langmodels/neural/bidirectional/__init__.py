"""Bidirectional networks, which fill blanks from both sides."""
