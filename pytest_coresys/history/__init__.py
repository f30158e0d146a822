"""What earlier runs came to: kept in SQLite beside the project, or in PostgreSQL for a fleet."""
