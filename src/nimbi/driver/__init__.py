"""What a driver is: the interfaces of all collections, and a cloud as data. No behaviour."""
