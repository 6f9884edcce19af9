"""From a picture to the face crop that a network sees: the same code in training, evaluation and service."""
