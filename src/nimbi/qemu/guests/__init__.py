"""Guests: their records, their QEMUs, and whoever watches over them."""
