"""What is made of a reference set for others: catalog entries, pages, servers, copies, images."""
