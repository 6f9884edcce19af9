"""From a data set's files to face squares on the disk: presentation tables, protocols, the crop store."""
