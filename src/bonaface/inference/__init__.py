"""A bundle and nothing else -> scores and verdicts, on onnxruntime. Loads no torch."""
