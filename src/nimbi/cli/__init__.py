"""The commands `nimbi` and `deltacloudd`."""
