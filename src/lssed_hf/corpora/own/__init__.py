"""People's own recordings: a table, a folder for each label, or an audformat database."""
