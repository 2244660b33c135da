"""What fields of edition 1 are called."""
def names1(sections):
    return None
