"""Checks shared by the NumPy and the PyTorch half: shapes and dtypes, never values.

Nothing here reads a number out of an array, so the same checks work for NumPy arrays
and for tensors on any device, `meta` included. Each file serves the twins of its name;
`basic` serves them all.
"""
