"""The statements as pure functions: what is asked of the database, apart from asking it."""
