"""Ratios against a named peer or floor, both sides in one run; `make bench` prints them."""
