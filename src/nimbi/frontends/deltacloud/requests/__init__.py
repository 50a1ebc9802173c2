"""Parameters of requests turned into the wishes of the model, by group."""
