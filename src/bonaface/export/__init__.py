"""A trained network -> the files of a bundle, and a torch backend over them."""
