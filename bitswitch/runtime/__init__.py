"""The machine that jobs run on: devices, locks, signals, a cache, random numbers."""
