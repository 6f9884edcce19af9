"""Settings, data, the Lightning module, and the run that ends in a bundle."""
