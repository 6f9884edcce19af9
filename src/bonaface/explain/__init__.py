"""The figures of the papers, of any run: what its network looks at, and what it makes of it."""
