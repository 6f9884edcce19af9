"""Maps over pictures, with scale and caption: numpy and Pillow alone."""
