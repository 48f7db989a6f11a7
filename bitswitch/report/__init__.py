"""Tables, figures and documents; never imports torch."""
