"""Load balancers: HAProxy in front of guests."""
