"""What the HTML report shows, as plain records: from the run's dict to what the templates are filled with."""
