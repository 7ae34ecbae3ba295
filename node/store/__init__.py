"""The database: tables, engine, and one module of queries per noun."""
