"""The Admin API: pods, zones, routing, nodes, jobs."""
