"""What is written down of calls that make, change and remove what counts."""
