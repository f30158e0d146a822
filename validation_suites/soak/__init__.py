"""What takes an hour: growth, storms of kills and of locks."""
