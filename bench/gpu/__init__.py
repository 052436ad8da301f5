"""Steps of bench/gpu.sh; each is a program: `python -m gpu.NAME --out FILE [--dry]`."""
