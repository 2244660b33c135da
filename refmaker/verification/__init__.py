"""What verifying is made of: native values, their comparison, and the files themselves."""
