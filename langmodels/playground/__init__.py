"""The page for the classroom: many real models on any text, side by side, in a browser."""

from langmodels.playground.classroom import Classroom, Limits
from langmodels.playground.room import Room

__all__ = ["Classroom", "Limits", "Room"]
