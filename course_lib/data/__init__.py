"""Seeded tasks and their vocabularies: NumPy arrays out, nothing downloaded."""
