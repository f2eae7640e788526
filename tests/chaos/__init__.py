"""Three replicas on one PostgreSQL, everything killed again and again, and the ledger of what was promised."""
