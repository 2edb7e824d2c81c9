"""The engine that both API gateways run on."""
