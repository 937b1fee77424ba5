"""Seeded generators with known truth, one file per subject."""
