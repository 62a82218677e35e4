"""The mixin of models with a fixed order, such as n-grams."""


class OfOrder:
    """A mixin for models of the last `order` - 1 tokens; list it before `LanguageModel`."""

    order: int

    @property
    def context_length(self) -> int:
        """Order - 1."""
        return self.order - 1

    @property
    def slides(self) -> bool:
        """True: p depends on the last `context_length` tokens alone."""
        return True
