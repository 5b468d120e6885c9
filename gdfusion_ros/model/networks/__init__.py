"""The networks: each a function that builds one, its released sizes, and the table of its published keys."""
