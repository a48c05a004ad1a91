"""The multichannel 24-bit writer under the name of its predecessor."""
