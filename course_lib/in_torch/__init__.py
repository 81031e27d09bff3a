"""The trainable twin of `in_numpy`: same files, same functions, any device."""
