"""Networks of guests: their records, and the fabric that carries them."""
