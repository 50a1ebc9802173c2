"""Where this very user keeps logins."""
