"""The Cinder API gateway."""
