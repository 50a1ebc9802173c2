"""Images made on the spot from what the distribution offers."""
