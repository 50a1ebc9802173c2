"""The functions that answer requests, by collection."""
