"""The interface of all models, what follows from it, and the models that belong to no family."""
