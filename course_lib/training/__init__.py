"""Training: one loop, decoding, metrics, and the runs whose results are committed."""
