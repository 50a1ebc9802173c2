"""The pages of the API for people: no script, and nothing from elsewhere."""
