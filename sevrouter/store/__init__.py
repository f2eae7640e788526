"""Where everything is kept: SQLite behind SQLAlchemy Core. Knows the domain's values and no rule of it."""
