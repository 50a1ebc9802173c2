"""Things of a cloud as the JSON of Deltacloud; one function a kind, returning plain dicts."""
