"""Copies of files: a stream of records over two descriptors, the same code at both ends."""
