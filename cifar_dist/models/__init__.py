"""The networks of the course, built by name; listing them imports no MindSpore."""

from cifar_dist.models.registry import create_model, list_models

__all__ = ["create_model", "list_models"]
