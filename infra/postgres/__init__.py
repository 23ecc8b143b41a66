"""State in Postgres: transactions, tables, migrations and the embedded server."""
