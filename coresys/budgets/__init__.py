"""What a budget is: units, limits, verdicts, and how a verdict is reached and worded."""
