"""A run directory as one page: what happened, in numbers, pictures and words."""
