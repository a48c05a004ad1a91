"""Audio with its sample rate, effects and measures. See the documentation in docs/python.md."""
