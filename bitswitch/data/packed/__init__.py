"""Pictures packed in few large files: written, verified, read, and cropped on the device."""
