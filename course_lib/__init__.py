"""The course on attention as a library: each idea once, small enough to print."""
