"""The definition of every mechanism: NumPy only, forward and backward, no state."""
