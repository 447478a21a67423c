"""Images: read, made, sharded, augmented, batched. NumPy only; nothing here imports MindSpore."""
