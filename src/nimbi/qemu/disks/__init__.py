"""Volumes and snapshots: disks that live apart from guests, and what they held at one moment."""
