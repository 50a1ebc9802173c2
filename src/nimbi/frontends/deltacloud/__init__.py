"""The REST API of Deltacloud 1.1.3: XML, JSON and HTML over the operations of the gateway."""
