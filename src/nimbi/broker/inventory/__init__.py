"""The inventory: what each account holds, kept fresh in the background."""
