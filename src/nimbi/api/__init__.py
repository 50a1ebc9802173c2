"""The native API as data: one route for each operation of each collection."""
