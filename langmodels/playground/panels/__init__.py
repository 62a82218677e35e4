"""The panels of the page, one module each.

Each module has pure functions from models and a request to plain data, and `ACTIONS`: the functions
that answer requests, by name. These take the classroom, the fields of the request and the visitor.
"""
