"""Metering and money: what is used, what it costs, what may be spent."""
