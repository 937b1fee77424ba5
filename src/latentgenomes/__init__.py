"""Autoencoder models for cancer and population genomics."""
