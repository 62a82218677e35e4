"""The command line: what a person types, one module a command."""
