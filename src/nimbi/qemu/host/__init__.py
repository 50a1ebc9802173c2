"""The machine below: its programs, files, processes, and what it can bear."""
