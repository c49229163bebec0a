"""What one would otherwise run: each an application of its own, as its makers' guides would have it."""
