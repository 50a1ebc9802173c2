"""What all clouds share, done once: checks, retries, deadlines, paging, waits, sessions, audit."""
