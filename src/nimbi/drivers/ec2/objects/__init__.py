"""S3: buckets and blobs, at AWS and at whatever speaks its protocol."""
