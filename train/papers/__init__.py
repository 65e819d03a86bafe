"""The papers' experiments: zero-shot recognition on seen and unseen classes of one dataset."""
