"""What is learned: the networks, what they see, the texts they are compared with, and how they are kept on disk.

Imports neither `stream` nor `train`. `checkpoint.load` gives a `recogniser.Recogniser`, `text.embed` vectors of texts.
"""
