"""Taking things down in the order of what they need, and looking whether they are gone."""
