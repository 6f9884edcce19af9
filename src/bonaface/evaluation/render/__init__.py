"""The report as text, Markdown, LaTeX, CSV, HTML and JSON."""
