"""Tensor pieces without a subject: distributions, constraints, layers."""
