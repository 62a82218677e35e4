"""What the page can show, a module a panel.

Each has pure functions, from models and a request to plain data, and `ACTIONS`: by name what
answers a browser, from the classroom, the fields of the request and who asks.
"""
