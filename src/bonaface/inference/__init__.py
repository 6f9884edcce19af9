"""Score pictures and give verdicts from a bundle alone, on onnxruntime. Loads no torch."""
