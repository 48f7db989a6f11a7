"""What a plugin author subclasses: one file per kind of plugin."""
