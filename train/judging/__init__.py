"""How good a model is on labelled archives that it may never have seen: by text, by examples, on streams."""
