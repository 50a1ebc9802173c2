"""What Nimbi remembers: one database of accounts, tokens, inventory and events."""
