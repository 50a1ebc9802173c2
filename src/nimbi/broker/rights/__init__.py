"""Users, groups, tenants, roles, and who gives what to whom."""
