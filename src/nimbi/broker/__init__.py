"""Accounts above clouds: who may use them, what they hold, what changes."""
