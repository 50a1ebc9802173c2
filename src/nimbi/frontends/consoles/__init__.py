"""Consoles of instances over HTTP and WebSocket: tickets, streams, screenshots, logs."""
