"""The table of routes: from it come dispatch, checks, OPTIONS, links, forms and documentation."""
