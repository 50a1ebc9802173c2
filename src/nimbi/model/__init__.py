"""The words of Nimbi as immutable data: what clouds report and what callers may ask."""
