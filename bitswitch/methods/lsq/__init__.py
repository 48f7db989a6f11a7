"""LSQ and LSQ+: learned scales, one network per bit-width."""
