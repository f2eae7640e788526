"""Each integration against a strict fake of its vendor: what is sent, and what each way to fail comes to."""
