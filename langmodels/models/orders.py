"""Models of a fixed order: what they say of the context that they see."""


class OfOrder:
    """A base of models of the last `order` - 1 tokens, to stand before `LanguageModel`."""

    order: int

    @property
    def context_length(self) -> int:
        """Order - 1."""
        return self.order - 1

    @property
    def slides(self) -> bool:
        """True: nothing but these tokens matters."""
        return True
