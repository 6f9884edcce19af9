"""The grid of models, data sets, protocols, folds and seeds that ends in the tables of the papers."""
