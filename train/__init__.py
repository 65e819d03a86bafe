"""How models are learned and judged: `python -m train fit`, `evaluate`, `zero-shot`."""
