"""A black-box conformance kit: talks to any node over HTTP alone and knows nothing of how it is made."""
