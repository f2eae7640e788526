"""The store on real SQLite files: its schema, its commits, its statements."""
