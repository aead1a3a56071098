"""Evidence: found, opened read-only, hashed and accounted for. The only code that opens evidence lives here."""
