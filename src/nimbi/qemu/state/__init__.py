"""The state directory: its layout, and how an older one becomes a newer one."""
