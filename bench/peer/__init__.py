"""Parts of bench/peers.py: pvnet and what people would run instead, in turns."""
