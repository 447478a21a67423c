"""Training and evaluation: the compiled steps and the loop around them."""
