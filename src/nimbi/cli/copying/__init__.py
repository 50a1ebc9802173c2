"""Copies files and blobs: up, down, and from cloud to cloud; what breaks off goes on later."""
