"""Losses that more than one model uses: pure functions of logits or cosines and labels."""
