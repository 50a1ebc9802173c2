"""Images: the catalogue, and all ways into it."""
