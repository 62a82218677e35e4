"""The interface of all models, what is written once on it, and the models made of others."""
