"""The conformance kit: that it judges rightly, and what it says of our echo servers."""
