"""What every other package stands on: records, errors, whole files. Imports nothing of Bonaface's own."""
