"""The steps that make twins of the top's networks in a pod."""
