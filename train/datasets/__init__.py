"""The recordings that are learned from: labels, people, sequences, and the windows cut from them."""
