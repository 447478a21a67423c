"""Pictures from anywhere in, classes and probabilities out; no MindSpore in here."""
