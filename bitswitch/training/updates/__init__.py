"""What changes parameters: gradients of passes, optimizers, and how far a step moves a scale."""
