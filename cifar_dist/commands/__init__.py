"""The subcommands of ``python -m cifar_dist``: each has ``add_parser`` and ``run``."""
