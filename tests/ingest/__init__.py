"""What comes in at the door: payloads in every state, and who may send them."""
