"""Checkpoints: one folder a step, whole or not there."""
