"""The bench: what the gateway costs beside nginx, HAProxy and the bare pod."""
