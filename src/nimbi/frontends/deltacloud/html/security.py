"""What guards the pages in a browser: the content policy."""

# Nothing but our own style sheet and pictures; no script at all; forms only to this server.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
