"""Numbers about predictions, from sums that ranks can add up. NumPy only."""
