"""Service quality: whether things answer, who is told when not, and what is done for them."""
