"""How fast it is, always beside a rival in the same run: ``python -m cifar_dist bench NAME``."""
