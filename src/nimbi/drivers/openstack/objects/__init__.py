"""Swift: containers as buckets, objects as blobs."""
