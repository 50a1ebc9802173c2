"""The pages of the Deltacloud API for people: HTML made of the same JSON that programs get."""
