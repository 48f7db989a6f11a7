"""MBQuant: more bits mean more branches."""
