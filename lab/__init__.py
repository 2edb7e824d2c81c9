"""A whole multi-pod OpenStack on one machine: the demo, the judge and the bench of Tricircle."""
