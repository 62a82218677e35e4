"""Models of the library `transformers`, behind the interface of all others."""

from langmodels.pretrained.model import PretrainedModel, is_pretrained_name

__all__ = ["PretrainedModel", "is_pretrained_name"]
