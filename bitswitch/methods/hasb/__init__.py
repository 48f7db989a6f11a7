"""HASB: layers draw bit-widths by how sensitive they are."""
